"""The models are the published ones: equal to transformers' VJEPA2Model, to a plain reference, and in size."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn.functional import gelu, layer_norm

from vjepa_sim.models.ac_predictor import ACPredictor, ACPredictorConfig
from vjepa_sim.models.encoder import Encoder, EncoderConfig
from vjepa_sim.models.mask_predictor import Predictor
from vjepa_sim.models.rotation import integrate
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.training.probe import AttentiveProbe
from vjepa_sim.world_model import WorldModel

pytestmark = pytest.mark.slow

# --- transformers ---------------------------------------------------------------------------------------------

HUGGING_FACE = {
    "wide heads": dict(hidden_size=96, num_attention_heads=2, num_hidden_layers=2, mlp_ratio=2.0, crop_size=48),
    "giant's ratio": dict(hidden_size=88, num_attention_heads=4, num_hidden_layers=3, mlp_ratio=48 / 11, crop_size=64),
    "long tubelets": dict(hidden_size=64, num_attention_heads=1, num_hidden_layers=2, tubelet_size=4, crop_size=32),
}


def hugging_face(sizes):
    from transformers import VJEPA2Config, VJEPA2Model

    torch.manual_seed(0)
    model = VJEPA2Model(
        VJEPA2Config(
            **sizes,
            patch_size=16,
            frames_per_clip=8,
            pred_hidden_size=64,
            pred_num_attention_heads=2,
            pred_num_hidden_layers=2,
            pred_num_mask_tokens=3,
            pred_zero_init_mask_tokens=False,
        )
    ).eval()
    with torch.no_grad():  # as after training, not as at the start: biases, norms and mask tokens matter too
        for value in model.parameters():
            value.normal_(std=0.1)
    return model


@pytest.fixture(params=HUGGING_FACE.values(), ids=HUGGING_FACE.keys())
def pair(request, tmp_path):
    theirs = hugging_face(request.param)
    theirs.save_pretrained(tmp_path)
    return theirs, WorldModel.from_pretrained(tmp_path)


def test_the_encoder_equals_transformers(pair):
    theirs, ours = pair
    video = torch.randn(2, 8, 3, theirs.config.crop_size, theirs.config.crop_size)
    with torch.no_grad():
        expected = theirs.get_vision_features(video)
        torch.testing.assert_close(ours.encoder(video.transpose(1, 2)), expected, atol=1e-5, rtol=1e-5)


def test_the_mask_predictor_equals_transformers(pair):
    theirs, ours = pair
    video = torch.randn(2, 8, 3, theirs.config.crop_size, theirs.config.crop_size)
    ids = torch.stack([torch.randperm((8 // theirs.config.tubelet_size) * ours.card.encoder.tokens) for _ in range(2)])
    seen, hidden = ids[:, :5].sort(1).values, ids[:, 5:9].sort(1).values
    with torch.no_grad():
        out = theirs(video, context_mask=[seen], target_mask=[hidden])
        context = ours.encoder(video.transpose(1, 2)).gather(1, seen[..., None].expand(-1, -1, ours.card.encoder.dim))
        predicted = ours.mask_predictor(context, seen, hidden, mask_index=1)
        torch.testing.assert_close(predicted, out.predictor_output.last_hidden_state, atol=1e-5, rtol=1e-5)


def test_the_attentive_probe_equals_transformers():
    from transformers import VJEPA2Config
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2AttentivePooler

    torch.manual_seed(0)
    theirs = VJEPA2AttentivePooler(VJEPA2Config(hidden_size=64, num_attention_heads=4, num_pooler_layers=3)).eval()
    with torch.no_grad():
        for value in theirs.parameters():
            value.normal_(std=0.1)
    ours = AttentiveProbe(dim=64, outputs=5, depth=4, heads=4)
    state = {"query": theirs.query_tokens}
    for i, layer in enumerate(theirs.self_attention_layers):
        copy_layer(state, f"blocks.{i}", layer)
        projections = [layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj]
        for kind in ("weight", "bias"):
            state[f"blocks.{i}.attn.qkv.{kind}"] = torch.cat([getattr(each, kind) for each in projections])
            state[f"blocks.{i}.attn.proj.{kind}"] = getattr(layer.self_attn.out_proj, kind)
    cross = theirs.cross_attention_layer
    copy_layer(state, "cross", cross)
    for kind in ("weight", "bias"):
        state[f"cross.q.{kind}"] = getattr(cross.cross_attn.q_proj, kind)
        state[f"cross.kv.{kind}"] = torch.cat(
            [getattr(cross.cross_attn.k_proj, kind), getattr(cross.cross_attn.v_proj, kind)]
        )
    state["out.weight"], state["out.bias"] = ours.out.weight, ours.out.bias
    ours.load_state_dict({name: value.detach() for name, value in state.items()})
    tokens = torch.randn(3, 10, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), ours.out(theirs(tokens)), atol=1e-5, rtol=1e-5)


def copy_layer(state, name, layer):
    for kind in ("weight", "bias"):
        state[f"{name}.norm1.{kind}"] = getattr(layer.layer_norm1, kind)
        state[f"{name}.norm2.{kind}"] = getattr(layer.layer_norm2, kind)
        state[f"{name}.mlp.fc1.{kind}"] = getattr(layer.mlp.fc1, kind)
        state[f"{name}.mlp.fc2.{kind}"] = getattr(layer.mlp.fc2, kind)


# --- published sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "millions", "tensors"),
    [
        ("small", 21.9, 148),
        ("base", 86.2, 148),
        ("large", 303.9, 292),
        ("huge", 631.6, 388),
        ("giant", 1012.2, 484),
        ("giant-384", 1012.2, 484),
    ],
)
def test_parameter_counts_are_the_published_ones(preset, millions, tensors):
    with torch.device("meta"):
        encoder = Encoder(PRESETS[preset].encoder)
    assert count(encoder) == pytest.approx(millions, abs=0.05)
    assert len(encoder.state_dict()) == tensors


def test_the_predictors_counts_are_the_published_ones():
    giant = PRESETS["giant"]
    with torch.device("meta"):
        conditioned = ACPredictor(giant.ac_predictor, giant.encoder)
        masked = Predictor(giant.mask_predictor, giant.encoder)
    assert count(conditioned) == pytest.approx(305.2, abs=0.05)
    assert len(conditioned.state_dict()) == 300
    assert count(masked) == pytest.approx(22.4, abs=0.05)
    assert masked.mask_tokens[0].shape == (1, 1, 384)
    assert len(masked.mask_tokens) == 10


def count(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


# --- the action-conditioned predictor, by plain loops from its description ------------------------------------


def reference_angles(head_dim, position):
    """One token's rotation: for every dimension its angle, with frequencies tiled and not interleaved."""
    width = 2 * ((head_dim // 3) // 2)
    angles = np.zeros(head_dim)
    for axis in range(3):
        for d in range(width):
            angles[axis * width + d] = position[axis] * 10000 ** (-(d % (width // 2)) / (width / 2))
    return angles


def reference_rotate(vector, angles):
    out = np.empty_like(vector)
    for d in range(0, len(vector), 2):
        a, b = vector[d], vector[d + 1]
        out[d] = a * np.cos(angles[d]) - b * np.sin(angles[d])
        out[d + 1] = b * np.cos(angles[d + 1]) + a * np.sin(angles[d + 1])
    return out


def reference_ac_predictor(weights, config, grid, z, actions, states, extrinsics=None):
    """[T, tokens, D], one sample, in float64, token by token."""
    w = {name: value.double().numpy() for name, value in weights.items()}

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    tokens, places, frames_of = [], [], []
    for t in range(len(z)):
        conditions = [("action_encoder", actions[t]), ("state_encoder", states[t])]
        if extrinsics is not None:
            conditions.append(("extrinsics_encoder", extrinsics[t]))
        for name, value in conditions:
            tokens.append(linear(name, value))
            places.append((t, 0, 0))
        for index in range(grid * grid):
            tokens.append(linear("predictor_embed", z[t, index]))
            places.append((t, index // grid, index % grid))
        frames_of += [t] * (len(conditions) + grid * grid)
    x = np.stack(tokens)
    head_dim = config.dim // config.heads
    angles = [reference_angles(head_dim, place) for place in places]
    for i in range(config.depth):
        block = f"predictor_blocks.{i}"
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        attended = np.zeros_like(x)
        for head in range(config.heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            q, k, v = (qkv[:, s * config.dim :][:, part] for s in range(3))
            q = np.stack([reference_rotate(vector, angle) for vector, angle in zip(q, angles, strict=True)])
            k = np.stack([reference_rotate(vector, angle) for vector, angle in zip(k, angles, strict=True)])
            for token in range(len(x)):
                visible = [other for other in range(len(x)) if frames_of[other] <= frames_of[token]]
                scores = np.array([q[token] @ k[other] / math.sqrt(head_dim) for other in visible])
                scores = np.exp(scores - scores.max())
                attended[token, part] = scores / scores.sum() @ v[visible]
        x = x + linear(f"{block}.attn.proj", attended)
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))
        x = x + linear(f"{block}.mlp.fc2", gelu(torch.from_numpy(hidden)).numpy())
    out = []
    per_frame = len(x) // len(z)
    for t in range(len(z)):
        patches = x[(t + 1) * per_frame - grid * grid : (t + 1) * per_frame]
        out.append(linear("predictor_proj", norm("predictor_norm", patches)))
    out = np.stack(out)
    return (out - out.mean(-1, keepdims=True)) / np.sqrt(out.var(-1, keepdims=True) + 1e-5)


def ac_predictor(extrinsics=False):
    torch.manual_seed(0)
    config = ACPredictorConfig(dim=64, depth=2, heads=2, mlp_hidden=96, extrinsics=extrinsics)
    predictor = ACPredictor(config, EncoderConfig(image_size=48, dim=40, depth=1, heads=2, mlp_hidden=48))
    with torch.no_grad():
        for value in predictor.parameters():
            value.normal_(std=0.15)
    return predictor.eval()


@pytest.mark.parametrize("extrinsics", [False, True])
def test_the_action_conditioned_predictor_equals_a_plain_reference(extrinsics):
    predictor = ac_predictor(extrinsics)
    rng = np.random.default_rng(0)
    z = layer_norm(torch.from_numpy(rng.normal(size=(3, 9, 40))), (40,)).numpy()
    actions, states, cameras = (rng.normal(size=(3, width)) for width in (7, 7, 6))
    expected = reference_ac_predictor(
        predictor.state_dict(), predictor.config, 3, z, actions, states, cameras if extrinsics else None
    )
    arguments = [torch.from_numpy(value)[None].float() for value in (z, actions, states)]
    camera = torch.from_numpy(cameras)[None].float() if extrinsics else None
    with torch.no_grad():
        out = predictor(*arguments, camera)[0]
        torch.testing.assert_close(out, torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-5)
        caches = predictor.new_caches()
        for t in range(3):
            z_t, action, state = (value[:, t] for value in arguments)
            step = predictor.step(z_t, action, state, caches=caches, extrinsics=camera[:, t] if extrinsics else None)
            torch.testing.assert_close(step[0], out[t], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"residual": True, "merge": 2, "state_rotation": "matrix", "rope": "correct"}])
def test_a_cached_rollout_equals_the_uncached(changes):
    torch.manual_seed(0)
    encoder = EncoderConfig(image_size=64, dim=48, depth=1, heads=2, mlp_hidden=48)
    predictor = ACPredictor(ACPredictorConfig(dim=64, depth=3, heads=2, mlp_hidden=96, **changes), encoder).eval()
    with torch.no_grad():
        for value in predictor.parameters():
            value.normal_(std=0.1)
        z, state = layer_norm(torch.randn(16, 48), (48,)), torch.tensor([0.4, 0.1, 0.3, 3.1, 0.1, -0.4, 0.5])
        actions = torch.randn(5, 4, 7) * 0.1
        caches, latent, place = predictor.new_caches(), z[None], state[None]
        history, states = z.expand(5, 1, -1, -1), state.expand(5, 1, -1)
        for t in range(4):
            latent = predictor.step(latent, actions[:, t], place, caches=caches)
            uncached = predictor(history, actions[:, : t + 1], states)[:, -1]
            torch.testing.assert_close(latent, uncached, atol=1e-5, rtol=1e-5)
            history = torch.cat([history, uncached[:, None]], 1)
            place = integrate(place, actions[:, t])
            states = torch.cat([states, place[:, None]], 1)


def test_a_finer_picture_spans_the_same_rows_and_columns():
    """Positions are scaled to the grid the predictor was trained on, and are themselves at that size."""
    predictor = ac_predictor()
    trained = predictor._positions(0, 1, 2, 9, None)
    finer = predictor._positions(0, 1, 2, 36, None)
    assert trained[2:, 1:].max() == 2
    assert finer[2:, 1:].max() == 2.5
    assert torch.equal(finer[:2], trained[:2])


def test_batched_integration_equals_scipy():
    rng = np.random.default_rng(0)
    state, action = rng.normal(size=(50, 7)), rng.normal(size=(50, 7)) * 0.3
    out = integrate(torch.from_numpy(state), torch.from_numpy(action)).numpy()
    for i in range(50):
        turned = Rotation.from_euler("xyz", action[i, 3:6]) * Rotation.from_euler("xyz", state[i, 3:6])
        np.testing.assert_allclose(Rotation.from_euler("xyz", out[i, 3:6]).as_matrix(), turned.as_matrix(), atol=1e-9)
        np.testing.assert_allclose(out[i, :3], state[i, :3] + action[i, :3])
        assert out[i, 6] == pytest.approx(np.clip(state[i, 6] + action[i, 6], 0, 1))
