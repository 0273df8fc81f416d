"""Encoder, predictors and rotary positions against what they promise."""

import numpy as np
import pytest
import torch

from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.mask_predictor import Predictor, PredictorConfig
from vjepa_sim.models.rope import axis_width, grid_positions, rope_table, rotate
from vjepa_sim.training.masks import LONG_RANGE, SHORT_RANGE, MaskConfig, sample_masks

SMALL = EncoderConfig(image_size=32, patch_size=8, dim=48, depth=2, heads=2, mlp_hidden=96, rope="correct")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# --- rotary positions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("head_dim", "width"), [(64, 20), (80, 26), (32, 10)])
def test_axis_widths_are_the_published_ones(head_dim, width):
    assert axis_width(head_dim) == width


def test_correct_rotation_depends_on_distance_only():
    q, k = torch.randn(64), torch.randn(64)

    def product(a, b):
        positions = torch.tensor([a, b])
        cosine, sine = rope_table(positions, 64, "correct")
        return rotate(q, cosine[0], sine[0]) @ rotate(k, cosine[1], sine[1])

    near = product([1, 2, 3], [4, 6, 8])
    torch.testing.assert_close(near, product([11, 12, 13], [14, 16, 18]), atol=1e-4, rtol=1e-4)
    assert abs(near - product([1, 2, 3], [9, 6, 8])) > 1e-3


def test_compat_tiles_frequencies_where_pairs_interleave():
    """The released models' quirk: both tables agree only where all frequencies are equal."""
    cosine, _ = rope_table(torch.tensor([[3.0, 0, 0]]), 32, "compat")
    frequency = 10000.0 ** (-torch.arange(5) / 5)
    torch.testing.assert_close(cosine[0, :10], torch.cat([torch.cos(3 * frequency)] * 2))
    torch.testing.assert_close(cosine[0, 10:], torch.ones(22))


def test_what_is_left_of_a_head_is_never_rotated():
    x = torch.randn(64)
    cosine, sine = rope_table(torch.tensor([5, 6, 7]), 64, "correct")
    assert torch.equal(rotate(x, cosine, sine)[60:], x[60:])


# --- encoder --------------------------------------------------------------------------------------------------


def test_shapes():
    encoder = Encoder(SMALL)
    assert encoder(torch.randn(3, 3, 4, 32, 32)).shape == (3, 2 * 16, 48)
    assert encoder.still(torch.randn(3, 3, 32, 32)).shape == (3, 16, 48)


def test_keeping_all_tokens_is_keeping_none_out():
    encoder = Encoder(SMALL)
    video = torch.randn(2, 3, 4, 32, 32)
    keep = torch.arange(32).expand(2, -1)
    torch.testing.assert_close(encoder(video, keep), encoder(video), atol=1e-5, rtol=1e-5)


def test_tokens_left_out_are_not_seen():
    encoder = Encoder(SMALL)
    keep = torch.tensor([[0, 1, 5]])
    video = torch.randn(1, 3, 2, 32, 32)
    other = video.clone()
    other[..., 24:, 24:] += 1.0  # token 15
    torch.testing.assert_close(encoder(video, keep), encoder(other, keep))
    assert not torch.allclose(encoder(video), encoder(other))


def test_a_clip_shorter_than_a_tubelet_is_refused():
    with pytest.raises(ValueError, match="smaller than one tubelet"):
        Encoder(SMALL)(torch.randn(1, 3, 1, 32, 32))


def test_residual_branches_start_smaller_with_depth():
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(image_size=32, dim=96, depth=8, heads=3, mlp_hidden=384))
    deviations = [block.mlp.fc2.weight.std().item() for block in encoder.blocks]
    for number, deviation in enumerate(deviations, start=1):
        assert deviation == pytest.approx(0.02 / np.sqrt(2 * number), rel=0.05)


# --- masks and the mask-denoising predictor -------------------------------------------------------------------


@pytest.mark.parametrize("config", [SHORT_RANGE, LONG_RANGE])
def test_masks_are_tubes_and_complements(config):
    seen, hidden = sample_masks(config, batch=5, frames=3, grid=16, rng=np.random.default_rng(0))
    for sample in range(5):
        a, b = set(seen[sample].tolist()), set(hidden[sample].tolist())
        assert not a & b
        assert len(a) == seen.shape[1] > 0
        # Truncation drops the highest ids, so the first frame's mask is whole in the shortest of the two.
        assert {i % 256 for i in a}.isdisjoint({i % 256 for i in b})


def test_a_batch_has_one_block_size():
    """Single blocks, so that what a sample hides tells the size."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        _, hidden = sample_masks(MaskConfig(blocks=1, scale=0.5), batch=6, frames=1, grid=16, rng=rng)
        shapes = {(len(np.unique(row // 16)), len(np.unique(row % 16))) for row in hidden.numpy()}
        assert len(shapes) == 1


def test_masks_that_would_hide_everything_are_drawn_again():
    seen, _ = sample_masks(MaskConfig(blocks=6, scale=0.6), batch=4, frames=1, grid=4, rng=np.random.default_rng(0))
    assert seen.shape[1] >= 1


def test_the_predictor_does_not_depend_on_the_order_of_targets():
    encoder = Encoder(SMALL)
    predictor = Predictor(PredictorConfig(dim=32, depth=2, heads=1, mlp_hidden=64, mask_tokens=2), SMALL)
    torch.nn.init.normal_(predictor.mask_tokens[0])
    video = torch.randn(1, 3, 2, 32, 32)
    seen, hidden = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[7, 9, 12]])
    context = encoder(video, seen)
    straight = predictor(context, seen, hidden, 0)
    shuffled = predictor(context, seen, hidden[:, [2, 0, 1]], 0)
    assert straight.shape == (1, 3, 48)
    torch.testing.assert_close(shuffled, straight[:, [2, 0, 1]], atol=1e-5, rtol=1e-5)


def test_positions_are_those_of_the_pictures_at_hand():
    """Of a model configured for another size: equal places give equal predictions."""
    torch.manual_seed(0)
    predictor = Predictor(PredictorConfig(dim=32, depth=2, heads=1, mlp_hidden=64, mask_tokens=1), SMALL)
    torch.nn.init.normal_(predictor.mask_tokens[0])
    context = torch.randn(1, 2, 48)
    # (time, row, column) (0, 0, 1), (1, 1, 1) seen and (0, 1, 0) hidden, on grids of 4 and of 2.
    four = predictor(context, torch.tensor([[1, 21]]), torch.tensor([[4]]), 0)
    two = predictor(context, torch.tensor([[1, 7]]), torch.tensor([[2]]), 0, grid=2)
    torch.testing.assert_close(two, four)
    assert not torch.allclose(predictor(context, torch.tensor([[1, 7]]), torch.tensor([[2]]), 0), four)


# --- the action-conditioned predictor -------------------------------------------------------------------------


def make_predictor(**changes):
    config = ACPredictorConfig(dim=64, depth=2, heads=2, mlp_hidden=128, rope="correct", **changes)
    predictor = ACPredictor(config, SMALL)
    torch.nn.init.normal_(predictor.predictor_proj.weight, std=0.02)
    return predictor


def inputs(frames=3):
    return torch.randn(2, frames, 16, 48), torch.randn(2, frames, 7) * 0.05, torch.randn(2, frames, 7) * 0.3


@pytest.mark.parametrize("merge", [1, 2, 4])
@pytest.mark.parametrize("residual", [False, True])
def test_no_frame_sees_a_later_one(merge, residual):
    predictor = make_predictor(merge=merge, residual=residual)
    z, actions, states = inputs()
    out = predictor(z, actions, states)
    assert out.shape == z.shape
    changed = [value.clone() for value in (z, actions, states)]
    for value in changed:
        value[:, 2] += 1.0
    torch.testing.assert_close(predictor(*changed)[:, :2], out[:, :2], atol=1e-5, rtol=1e-5)
    shorter = predictor(z[:, :1], actions[:, :1], states[:, :1])
    torch.testing.assert_close(shorter, out[:, :1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("which", [1, 2])
def test_actions_and_states_matter(which):
    predictor = make_predictor()
    arguments = list(inputs())
    out = predictor(*arguments)
    arguments[which] = arguments[which] + 0.1
    assert not torch.allclose(predictor(*arguments), out)


def test_merging_is_undone_by_splitting():
    predictor = make_predictor(merge=2)
    z = torch.randn(2, 3, 16, 48)
    assert torch.equal(predictor._split(predictor._merge(z)), z)
    # One merged token holds one square of the picture.
    squares = torch.zeros(1, 1, 16, 48)
    squares[0, 0, [0, 1, 4, 5]] = 1.0
    assert torch.equal(predictor._merge(squares)[0, 0].sum(-1) > 0, torch.tensor([True, False, False, False]))


def test_at_first_a_residual_predictor_predicts_no_change():
    predictor = ACPredictor(ACPredictorConfig(dim=64, depth=1, heads=2, mlp_hidden=64, residual=True), SMALL)
    z, actions, states = inputs()
    z = torch.nn.functional.layer_norm(z, (48,))
    torch.testing.assert_close(predictor(z, actions, states), z, atol=1e-4, rtol=1e-4)


def test_a_hand_that_points_down_has_no_jump():
    """Roll is near ±π then, and its sign flips with noise."""
    predictor = make_predictor(state_rotation="matrix")
    z, actions, states = inputs()
    states[..., 3] = np.pi - 1e-4
    flipped = states.clone()
    flipped[..., 3] = -np.pi + 1e-4
    torch.testing.assert_close(predictor(z, actions, flipped), predictor(z, actions, states), atol=1e-3, rtol=1e-3)


def test_extrinsics_are_asked_for_when_trained_with():
    predictor = make_predictor(extrinsics=True)
    z, actions, states = inputs()
    with pytest.raises(ValueError, match="extrinsics"):
        predictor(z, actions, states)
    assert predictor(z, actions, states, torch.zeros(2, 3, 6)).shape == z.shape


def test_a_grid_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="merge=3"):
        make_predictor(merge=3)


def test_grid_positions_run_columns_first():
    assert grid_positions(1, 2, 3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2]]
