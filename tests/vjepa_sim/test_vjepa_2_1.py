"""V-JEPA 2.1: equal to plain loops written from its description, and read from files in Meta's layout."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu

from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder_2_1 import Encoder21, Encoder21Config, Predictor21, Predictor21Config
from vjepa_sim.release_options import ReleaseOptions
from vjepa_sim.world_model import WorldModel

GRID, FRAMES, DIM, HEADS = 3, 2, 24, 2
SIZES = Encoder21Config(image_size=16 * GRID, dim=DIM, depth=12, heads=HEADS, mlp_hidden=32)
STATED = ReleaseOptions(image_size=16 * GRID, heads=HEADS, predictor_heads=HEADS)


def random(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            value.normal_(std=0.2)
    return module.eval()


class Plain:
    """A transformer in float64, token by token, from tensors in Meta's layout."""

    def __init__(self, module, blocks):
        self.w = {name: value.double().numpy() for name, value in module.state_dict().items()}
        self.blocks = blocks

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def rotated(self, vector, place):
        """A rotation of each pair of dimensions by one angle, a third of the head for each axis."""
        width = 2 * ((len(vector) // 3) // 2)
        out = vector.copy()
        for axis in range(3):
            for pair in range(width // 2):
                angle = place[axis] * 10000 ** (-pair / (width / 2))
                at = axis * width + 2 * pair
                a, b = vector[at], vector[at + 1]
                out[at] = a * math.cos(angle) - b * math.sin(angle)
                out[at + 1] = b * math.cos(angle) + a * math.sin(angle)
        return out

    def block(self, number, x, places):
        name = f"{self.blocks}.{number}"
        qkv, width = self.linear(f"{name}.attn.qkv", self.norm(f"{name}.norm1", x)), x.shape[1]
        attended, part = np.zeros_like(x), width // HEADS
        for head in range(HEADS):
            q, k, v = (qkv[:, s * width + head * part : s * width + (head + 1) * part] for s in range(3))
            q, k = (
                np.stack([self.rotated(row, place) for row, place in zip(each, places, strict=True)]) for each in (q, k)
            )
            for token in range(len(x)):
                scores = np.exp(k @ q[token] / math.sqrt(part))
                attended[token, head * part : (head + 1) * part] = scores / scores.sum() @ v
        x = x + self.linear(f"{name}.attn.proj", attended)
        hidden = self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", x))
        return x + self.linear(f"{name}.mlp.fc2", gelu(torch.from_numpy(hidden)).numpy())


def plain_encoder(encoder, video, keep=None):
    """The four levels [K, dim] of video [3, T, H, W]; a single frame is an image."""
    plain = Plain(encoder, "blocks")
    image = video.shape[1] == 1
    embed, tubelet, modality = ("patch_embed_img", 1, "img") if image else ("patch_embed", 2, "video")
    kernel, bias = plain.w[f"{embed}.proj.weight"], plain.w[f"{embed}.proj.bias"]
    tokens, places = [], []
    for t in range(video.shape[1] // tubelet):
        for row in range(GRID):
            for column in range(GRID):
                patch = video[
                    :, t * tubelet : (t + 1) * tubelet, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16
                ]
                tokens.append([np.sum(kernel[d] * patch) for d in range(DIM)] + bias)
                places.append((t, row * 15 / (GRID - 1), column * 15 / (GRID - 1)))
    x = np.stack(tokens) + plain.w[f"{modality}_mod_embed"][0]
    if keep is not None:
        x, places = x[keep], [places[index] for index in keep]
    levels = []
    for number in range(12):
        x = plain.block(number, x, places)
        if number in (2, 5, 8, 11):
            levels.append(plain.norm(f"norms_block.{len(levels)}", x))
    return levels


def plain_predictor(predictor, context, seen, masked, mask_index, levels):
    plain = Plain(predictor, "predictor_blocks")
    if levels == 1:
        x = plain.linear("predictor_embed", context)
    else:
        hidden = plain.linear("predictor_embed.0", context)
        x = plain.linear("predictor_embed.2", gelu(torch.from_numpy(hidden)).numpy())
    x = np.concatenate([x, np.repeat(plain.w[f"mask_tokens.{mask_index}"][0], len(masked), 0)])
    ids = [*seen, *masked]
    x = x[np.argsort(ids)] + plain.w["video_mod_embed"][0]
    places = [(id // GRID**2, id % GRID**2 // GRID, id % GRID) for id in sorted(ids)]  # not scaled here
    for number in range(predictor.config.depth):
        x = plain.block(number, x, places)
    x = plain.norm("predictor_norm", x)[np.argsort(np.argsort(ids))]
    return plain.linear("predictor_proj", x[len(seen) :]), plain.linear("predictor_proj_context", x[: len(seen)])


def close(ours, theirs):
    torch.testing.assert_close(ours, torch.from_numpy(theirs).float()[None], atol=2e-5, rtol=2e-5)


@pytest.fixture(scope="module")
def encoder():
    return random(Encoder21(SIZES))


@torch.no_grad()
@pytest.mark.parametrize("keep", [None, [0, 4, 5, 11, 17]])
def test_video_and_its_four_levels_equal_plain_loops(encoder, keep):
    video = np.random.default_rng(0).normal(size=(3, 2 * FRAMES, 16 * GRID, 16 * GRID)).astype(np.float32)
    expected = plain_encoder(encoder, video.astype(float), keep)
    ids = None if keep is None else torch.tensor([keep])
    levels = encoder.levels(torch.from_numpy(video)[None], ids)
    for ours, theirs in zip(levels, expected, strict=True):
        close(ours, theirs)
    close(encoder(torch.from_numpy(video)[None], ids), expected[-1])


@torch.no_grad()
def test_an_image_goes_as_one_frame_through_its_own_embedding(encoder):
    image = np.random.default_rng(1).normal(size=(3, 1, 16 * GRID, 16 * GRID)).astype(np.float32)
    last = plain_encoder(encoder, image.astype(float))[-1]
    normed = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-5)
    close(encoder.still(torch.from_numpy(image[:, 0])[None]), normed)


@torch.no_grad()
@pytest.mark.parametrize("levels", [1, 4])
def test_the_mask_predictor_equals_plain_loops(levels):
    config = Predictor21Config(dim=36, depth=2, heads=HEADS, mlp_hidden=40, levels=levels, out_dim=20)
    predictor = random(Predictor21(config, SIZES))
    seen, masked = [1, 2, 6, 10], [15, 0, 4]
    context = np.random.default_rng(2).normal(size=(len(seen), levels * DIM))
    tokens = torch.from_numpy(context).float()[None], torch.tensor([seen]), torch.tensor([masked])
    ours = predictor.both(*tokens, mask_index=3)
    torch.testing.assert_close(predictor(*tokens, mask_index=3), ours[0])
    for each, theirs in zip(ours, plain_predictor(predictor, context, seen, masked, 3, levels), strict=True):
        close(each, theirs)


# --- files ----------------------------------------------------------------------------------------------------


def file_of(folder, encoder, predictor, branch="ema_encoder"):
    def wrapped(module):
        return {f"module.backbone.{name}": value for name, value in module.state_dict().items()}

    path = folder / "vjepa2_1_small.pt"
    torch.save({"encoder": wrapped(Encoder21(SIZES)), branch: wrapped(encoder), "predictor": wrapped(predictor)}, path)
    return path


@pytest.mark.parametrize(("levels", "branch"), [(1, "ema_encoder"), (4, "target_encoder")])
def test_a_file_is_read_kept_and_read_again(encoder, tmp_path, levels, branch):
    config = Predictor21Config(dim=36, depth=2, heads=HEADS, mlp_hidden=40, levels=levels, out_dim=20)
    predictor = random(Predictor21(config, SIZES))
    model = WorldModel.from_pretrained(file_of(tmp_path, encoder, predictor, branch), STATED)
    assert model.card.encoder == SIZES
    assert model.card.mask_predictor == config
    assert not model.card.transform.antialias
    assert model.card.training["released"]["branch"] == branch
    model.save_pretrained(tmp_path / "ours")
    again = WorldModel.from_pretrained(tmp_path / "ours")
    assert again.card == model.card
    for module, theirs in ((again.encoder, encoder), (again.mask_predictor, predictor)):
        for name, value in theirs.state_dict().items():
            assert torch.equal(module.state_dict()[name], value)
    image = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    assert again.encode(image).shape == (1, GRID**2, DIM)


def test_a_depth_whose_levels_are_unknown_is_refused():
    with pytest.raises(UserError, match="12, 24, 40, 48 blocks; 7 were asked for"):
        Encoder21Config(dim=24, depth=7, heads=2, mlp_hidden=32)
