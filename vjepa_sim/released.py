"""Released weights: Meta's ``.pt`` files, and folders in Hugging Face's ``VJEPA2Model`` layout.

Meta's files are dictionaries with ``encoder``, ``predictor`` and, after pretraining, ``target_encoder`` (the moving
average). Tensor names have prefixes of wrapper modules. The ``predictor`` of V-JEPA 2-AC is action-conditioned; that of
the other models is the mask-denoising one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, TypedDict

import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.checkpoint import HUGGING_FACE_CONFIG
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.models.ac_predictor import ACPredictorConfig
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.mask_predictor import PredictorConfig
from vjepa_sim.transform import ImageTransform
from vjepa_sim.weights import read_safetensors

Branch = Literal["encoder", "target_encoder"]
Tensors = dict[str, torch.Tensor]

BRANCHES: tuple[Branch, ...] = ("encoder", "target_encoder")
WRAPPERS = re.compile(r"^((module|backbone)\.)+")
# Learned positions, unused by models with rotary ones.
IGNORED = {"pos_embed", "predictor_pos_embed"}
# 15 rows of DROID at 15 Hz: the original loader trusted the video's nominal 60 fps, so its "4 frames per second" are 1.
# See the documentation's page on the world model.
AC_PERIOD = 1.0
AC_MAX_ASPECT = 1.35  # effective crop in its training
LICENSE = "Meta's, as stated with the release"


def read_released(path: Path, branch: Branch | None = None, image_size: int | None = None) -> tuple[ModelCard, Tensors]:
    """Read a released checkpoint. No pickled code is ever executed.

    Args:
        path: Meta's file, or Hugging Face's folder.
        branch: Encoder of a file. By default the target encoder where there is one, on which the action-conditioned
            model was trained. (Meta's hub functions and Hugging Face's files have the other.)
        image_size: Height and width of the input in pixels, which files don't hold. 384 by default if the file's name
            contains it, else 256.

    Returns:
        The card, and tensors by their names in :class:`.WorldModel`. ``card.training["released"]`` holds file and
        branch.

    Raises:
        UserError: The file can't be read or has another layout.
    """
    if branch is not None and branch not in BRANCHES:
        raise unknown_name("branch", branch, BRANCHES)
    if path.is_dir():
        if branch == "target_encoder":
            raise UserError(f"{path}: Hugging Face's layout has only one encoder, `encoder`; leave out the branch.")
        return _read_hugging_face(path, image_size)
    return _read_meta(path, branch, image_size)


# --- Meta -----------------------------------------------------------------------------------------------------


def _read_meta(path: Path, branch: Branch | None, image_size: int | None) -> tuple[ModelCard, Tensors]:
    content = _load_pickle_free(path)
    parts = {name: _strip(content[name]) for name in (*BRANCHES, "predictor") if name in content}
    parts = {name: tensors for name, tensors in parts.items() if tensors}
    found: list[Branch] = [name for name in BRANCHES if name in parts]
    if not found:
        raise UserError(
            f"{path} holds no encoder: its entries are {', '.join(map(str, content))}; expected `encoder` or "
            f"`target_encoder`, as in Meta's releases."
        )
    branch = branch or found[-1]
    if branch not in found:
        raise UserError(f"{path} holds no {branch!r}, only {', '.join(found)}.")
    encoder = parts[branch]
    predictor = parts.get("predictor", {})
    size = (384 if "384" in path.stem else 256) if image_size is None else image_size
    action_conditioned = "action_encoder.weight" in predictor
    card = ModelCard(
        name=path.stem,
        encoder=_encoder_config(path, encoder, size),
        transform=ImageTransform(size, max_aspect=AC_MAX_ASPECT if action_conditioned else 1.0),
        predictor=_ac_config(path, predictor) if action_conditioned else None,
        mask_predictor=_mask_config(path, predictor) if predictor and not action_conditioned else None,
        decoders=False,
        period=AC_PERIOD if action_conditioned else None,
        training={"released": {"file": path.name, "branch": branch, "branches": found}},
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
    """Remove prefixes of wrapper modules, and tensors that rotary models don't use."""
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors):
        return {}
    names = {WRAPPERS.sub("", name): value for name, value in tensors.items()}
    return {name: value for name, value in names.items() if name not in IGNORED and isinstance(value, torch.Tensor)}


def _encoder_config(path: Path, tensors: Tensors, image_size: int) -> EncoderConfig:
    dim, _, tubelet, patch, _ = _shape(path, tensors, "patch_embed.proj.weight", 5)
    return EncoderConfig(
        image_size=image_size,
        patch_size=patch,
        tubelet_size=tubelet,
        # Files don't hold the number of heads; only the huge model has heads of 80 dimensions.
        **_transformer_sizes(path, tensors, dim, "blocks", head_dim=80 if dim == 1280 else 64),
        rope="compat",
    )


def _mask_config(path: Path, tensors: Tensors) -> PredictorConfig:
    dim, _ = _shape(path, tensors, "predictor_embed.weight", 2)
    return PredictorConfig(
        **_transformer_sizes(path, tensors, dim, "predictor_blocks", head_dim=32),
        mask_tokens=sum(name.startswith("mask_tokens.") for name in tensors),
        rope="compat",
    )


def _ac_config(path: Path, tensors: Tensors) -> ACPredictorConfig:
    dim, _ = _shape(path, tensors, "action_encoder.weight", 2)
    return ACPredictorConfig(**_transformer_sizes(path, tensors, dim, "predictor_blocks", head_dim=64), rope="compat")


class _TransformerSizes(TypedDict):
    """Fields that the configurations of all transformers share."""

    dim: int
    depth: int
    heads: int
    mlp_hidden: int


def _transformer_sizes(path: Path, tensors: Tensors, dim: int, blocks: str, head_dim: int) -> _TransformerSizes:
    """Infer the sizes of a transformer from its tensors."""
    return {
        "dim": dim,
        "depth": len({name.split(".")[1] for name in tensors if name.startswith(blocks + ".")}),
        "heads": max(1, dim // head_dim),
        "mlp_hidden": _shape(path, tensors, f"{blocks}.0.mlp.fc1.weight", 2)[0],
    }


def _shape(path: Path, tensors: Tensors, name: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor, with the expected number of dimensions."""
    if name not in tensors or tensors[name].ndim != dimensions:
        first = ", ".join(list(tensors)[:3])
        found = f"it has {tuple(tensors[name].shape)}" if name in tensors else f"found {first} and more"
        raise UserError(f"{path} is not a V-JEPA 2 model: {name} with {dimensions} dimensions is expected; {found}.")
    return tuple(tensors[name].shape)


# --- Hugging Face ---------------------------------------------------------------------------------------------

HUGGING_FACE_NAMES = (
    (r"^vjepa2\.", ""),  # backbone of a classifier
    (r"^encoder\.embeddings\.patch_embeddings\.proj", "encoder.patch_embed.proj"),
    (r"^encoder\.layer\.(\d+)\.attention\.", r"encoder.blocks.\1.attn."),
    (r"^encoder\.layer\.", "encoder.blocks."),
    (r"^encoder\.layernorm", "encoder.norm"),
    (r"^predictor\.embeddings\.predictor_embeddings", "mask_predictor.predictor_embed"),
    (r"^predictor\.embeddings\.mask_tokens", "mask_predictor.mask_tokens"),
    (r"^predictor\.layer\.(\d+)\.attention\.", r"mask_predictor.predictor_blocks.\1.attn."),
    (r"^predictor\.layer\.", "mask_predictor.predictor_blocks."),
    (r"^predictor\.layernorm", "mask_predictor.predictor_norm"),
    (r"^predictor\.proj", "mask_predictor.predictor_proj"),
)
CLASSIFIER_PARTS = ("pooler.", "classifier.")  # VJEPA2ForVideoClassification's, not part of a world model


def _read_hugging_face(folder: Path, image_size: int | None) -> tuple[ModelCard, Tensors]:
    path = folder / HUGGING_FACE_CONFIG
    try:
        config = json.loads(path.read_text())
        if not isinstance(config, dict):
            raise UserError(f"{path} is not a configuration of VJEPA2Model: it holds a {type(config).__name__}.")
        if config.get("model_type") != "vjepa2":
            raise UserError(f"{path}: model_type is {config.get('model_type')!r}; expected 'vjepa2'.")
        size = config.get("crop_size", 256) if image_size is None else image_size
        card = ModelCard(
            name=folder.name,
            encoder=EncoderConfig(
                image_size=size,
                patch_size=config.get("patch_size", 16),
                tubelet_size=config.get("tubelet_size", 2),
                dim=config.get("hidden_size", 1024),
                depth=config.get("num_hidden_layers", 24),
                heads=config.get("num_attention_heads", 16),
                mlp_hidden=int(config.get("hidden_size", 1024) * config.get("mlp_ratio", 4.0)),
                rope="compat",
            ),
            transform=ImageTransform(size),
            mask_predictor=PredictorConfig(
                dim=config.get("pred_hidden_size", 384),
                depth=config.get("pred_num_hidden_layers", 12),
                heads=config.get("pred_num_attention_heads", 12),
                mlp_hidden=int(config.get("pred_hidden_size", 384) * config.get("pred_mlp_ratio", 4.0)),
                mask_tokens=config.get("pred_num_mask_tokens", 10),
                rope="compat",
            ),
            decoders=False,
            training={"released": {"file": folder.name, "branch": "encoder", "branches": ["encoder"]}},
            license=LICENSE,
        )
    except (ValueError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a configuration of VJEPA2Model ({error}).") from error
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds {HUGGING_FACE_CONFIG} but no .safetensors file.")
    tensors: Tensors = {}
    for file in files:  # large models have several
        tensors |= read_safetensors(file)
    return card, _rename(tensors)


def _rename(theirs: Tensors) -> Tensors:
    """Rename Hugging Face's tensors; merge queries, keys and values, and split the mask tokens."""
    ours: Tensors = {}
    for name in list(theirs):
        if name.startswith(CLASSIFIER_PARTS):
            del theirs[name]
            continue
        renamed = name
        for pattern, replacement in HUGGING_FACE_NAMES:
            renamed = re.sub(pattern, replacement, renamed)
        ours[renamed] = theirs.pop(name)
    for name in [name for name in ours if ".attn.query." in name]:
        parts = [name.replace("query", part) for part in ("query", "key", "value")]
        if all(part in ours for part in parts):
            ours[name.replace("query", "qkv")] = torch.cat([ours.pop(part) for part in parts])
    for index, token in enumerate(ours.pop("mask_predictor.mask_tokens", ())):
        ours[f"mask_predictor.mask_tokens.{index}"] = token
    return ours
