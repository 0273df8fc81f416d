"""Meta's ``.pt`` files of V-JEPA 2, 2-AC and 2.1.

They are dictionaries with ``encoder``, ``predictor`` and, after pretraining, the encoder's moving average:
``target_encoder`` (V-JEPA 2) or ``ema_encoder`` (2.1). Tensor names have prefixes of wrapper modules. The ``predictor``
of V-JEPA 2-AC is action-conditioned; that of the other models is the mask-denoising one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.ac_predictor import ACPredictorConfig
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.encoder_2_1 import Encoder21Config, Predictor21Config
from vjepa_sim.models.mask_predictor import PredictorConfig
from vjepa_sim.release_options import BRANCHES, Branch, ReleaseOptions
from vjepa_sim.released.sizes import LICENSE, Tensors, shape_of, transformer_sizes
from vjepa_sim.transform import ImageTransform

WRAPPERS = re.compile(r"^((module|backbone)\.)+")
# Learned positions: V-JEPA 1's; in files of V-JEPA 2 they are left over and unused.
LEARNED_POSITIONS = ("pos_embed", "predictor_pos_embed")
RELEASED_MASK_TOKENS = 10  # of V-JEPA 2's mask predictor; V-JEPA 1's has 2
# 15 rows of DROID at 15 Hz: the original loader trusted the video's nominal 60 fps, so its "4 frames per second" are 1.
# See the documentation's page on the world model.
AC_PERIOD = 1.0
AC_MAX_ASPECT = 1.35  # effective crop in its training


def read_meta(path: Path, options: ReleaseOptions) -> tuple[ModelCard, Tensors]:
    """Read a file; see :func:`.read_released`."""
    content = _load_pickle_free(path)
    parts = {name: _strip(content[name]) for name in (*BRANCHES, "predictor") if name in content}
    parts = {name: tensors for name, tensors in parts.items() if tensors}
    found: list[Branch] = [name for name in BRANCHES if name in parts]
    if not found:
        raise UserError(
            f"{path} holds no encoder: its entries are {', '.join(map(str, content))}; expected "
            f"{', '.join(f'`{name}`' for name in BRANCHES)}, as in Meta's releases."
        )
    branch = options.branch or found[-1]
    if branch not in found:
        raise UserError(f"{path} holds no {branch!r}, only {', '.join(found)}.")
    encoder, predictor = parts[branch], parts.get("predictor", {})
    action_conditioned = "action_encoder.weight" in predictor
    newer = "patch_embed_img.proj.weight" in encoder
    _drop_learned_positions(path, encoder, predictor, options)
    size = options.image_size or (384 if "384" in path.stem else 256)
    encoder_config = _encoder_config(path, encoder, size, newer, options)
    predictor_config = mask_config = None
    if action_conditioned:
        predictor_config = _ac_config(path, predictor, options)
    elif predictor:
        if newer:
            mask_config = _mask_config_2_1(path, predictor, options, encoder_dim=encoder_config.dim)
        else:
            mask_config = _mask_config(path, predictor, options)
    card = ModelCard(
        name=path.stem,
        encoder=encoder_config,
        transform=ImageTransform(size, max_aspect=AC_MAX_ASPECT if action_conditioned else 1.0, antialias=False),
        predictor=predictor_config,
        mask_predictor=mask_config,
        decoders=False,
        period=AC_PERIOD if action_conditioned else None,
        training={
            "released": {
                "file": path.name,
                "branch": branch,
                "branches": found,
                "assumed": _assumed(encoder_config, predictor_config or mask_config, options),
            }
        },
        license=LICENSE,
    )
    tensors = {f"encoder.{name}": value for name, value in encoder.items()}
    prefix = "predictor" if action_conditioned else "mask_predictor"
    return card, tensors | {f"{prefix}.{name}": value for name, value in predictor.items()}


def _load_pickle_free(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except Exception as error:  # PyTorch raises many kinds of errors for a bad file
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{path} can't be read as a PyTorch checkpoint of tensors only ({reason}). Is the download complete? A "
            "file that holds other objects is refused, since unpickling them can run any code."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a dictionary, as in Meta's releases.")
    return content


def _strip(tensors: Any) -> Tensors:
    """Remove prefixes of wrapper modules, and what isn't a tensor."""
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors):
        return {}
    names = {WRAPPERS.sub("", name): value for name, value in tensors.items()}
    return {name: value for name, value in names.items() if isinstance(value, torch.Tensor)}


def _drop_learned_positions(path: Path, encoder: Tensors, predictor: Tensors, options: ReleaseOptions) -> None:
    """Remove learned positions of a model that has rotary ones.

    Raises:
        UserError: The file doesn't show whether the model has rotary positions, and the options don't state it.
    """
    learned = [name for tensors in (encoder, predictor) for name in LEARNED_POSITIONS if name in tensors]
    masks = sum(name.startswith("mask_tokens.") for name in predictor)
    rotary = options.rotary or "action_encoder.weight" in predictor or masks == RELEASED_MASK_TOKENS
    if learned and not rotary:
        raise UserError(
            f"{path} holds learned positions ({', '.join(learned)}). V-JEPA 1 needs them and can't be loaded; in files "
            "of V-JEPA 2 they are left over. If it is a model with rotary positions, say so: `convert weights --rotary "
            "True`, or ReleaseOptions(rotary=True)."
        )
    for tensors in (encoder, predictor):
        for name in LEARNED_POSITIONS:
            tensors.pop(name, None)


def _encoder_config(
    path: Path, tensors: Tensors, image_size: int, newer: bool, options: ReleaseOptions
) -> EncoderConfig:
    dim, _, tubelet, patch, _ = shape_of(path, tensors, "patch_embed.proj.weight", 5)
    sizes = transformer_sizes(path, tensors, dim, part="encoder", heads=options.heads)
    if newer:
        return Encoder21Config(image_size=image_size, patch_size=patch, tubelet_size=tubelet, **sizes)
    return EncoderConfig(image_size=image_size, patch_size=patch, tubelet_size=tubelet, **sizes, rope="compat")


def _mask_config(path: Path, tensors: Tensors, options: ReleaseOptions) -> PredictorConfig:
    dim, _ = shape_of(path, tensors, "predictor_embed.weight", 2)
    sizes = transformer_sizes(path, tensors, dim, part="predictor", heads=options.predictor_heads)
    return PredictorConfig(**sizes, mask_tokens=_mask_tokens(tensors), rope="compat")


def _mask_config_2_1(path: Path, tensors: Tensors, options: ReleaseOptions, encoder_dim: int) -> PredictorConfig:
    out_dim, dim = shape_of(path, tensors, "predictor_proj.weight", 2)
    sizes = transformer_sizes(path, tensors, dim, part="predictor", heads=options.predictor_heads)
    levels = 1
    if "predictor_embed.weight" not in tensors:
        levels = shape_of(path, tensors, "predictor_embed.0.weight", 2)[1] // encoder_dim
    return Predictor21Config(**sizes, mask_tokens=_mask_tokens(tensors), levels=levels, out_dim=out_dim)


def _mask_tokens(tensors: Tensors) -> int:
    return sum(name.startswith("mask_tokens.") for name in tensors)


def _ac_config(path: Path, tensors: Tensors, options: ReleaseOptions) -> ACPredictorConfig:
    dim, _ = shape_of(path, tensors, "action_encoder.weight", 2)
    sizes = transformer_sizes(path, tensors, dim, part="predictor", heads=options.predictor_heads)
    extrinsics = options.extrinsics
    if extrinsics is None:  # its bias is zero at first and gets no gradient if camera poses aren't used
        (width,) = shape_of(path, tensors, "extrinsics_encoder.bias", 1)
        extrinsics = bool(width and tensors["extrinsics_encoder.bias"].any())
    return ACPredictorConfig(**sizes, rope="compat", extrinsics=extrinsics)


def _assumed(encoder: EncoderConfig, predictor: Any, options: ReleaseOptions) -> list[str]:
    """What was taken from the released model of the same size, in sentences."""
    sentences = []
    if options.heads is None:
        sentences.append(f"the encoder has {encoder.heads} attention heads, as Meta's of this size (--heads).")
    if predictor is not None and options.predictor_heads is None:
        sentences.append(
            f"the predictor has {predictor.heads} attention heads, as Meta's of this size (--predictor-heads)."
        )
    if isinstance(predictor, ACPredictorConfig) and options.extrinsics is None:
        trained = "was" if predictor.extrinsics else "wasn't"
        sentences.append(f"the predictor {trained} trained with camera poses, by its weights for them (--extrinsics).")
    return sentences
