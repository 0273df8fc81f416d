"""Folders in Hugging Face's ``VJEPA2Model`` layout, whose config.json holds all sizes."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from vjepa_sim.card import ModelCard
from vjepa_sim.checkpoint import HUGGING_FACE_CONFIG
from vjepa_sim.data.files import read_json_object
from vjepa_sim.envs.errors import UserError
from vjepa_sim.models.encoder import EncoderConfig
from vjepa_sim.models.mask_predictor import PredictorConfig
from vjepa_sim.release_options import ReleaseOptions
from vjepa_sim.released.sizes import LICENSE, Tensors
from vjepa_sim.transform import ImageTransform
from vjepa_sim.weights import read_safetensors

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


def read_hugging_face(folder: Path, options: ReleaseOptions) -> tuple[ModelCard, Tensors]:
    """Read a folder with config.json and safetensors files; see :func:`.read_released`."""
    if options.branch not in (None, "encoder"):
        raise UserError(f"{folder}: Hugging Face's layout has only one encoder, `encoder`; leave out the branch.")
    path = folder / HUGGING_FACE_CONFIG
    try:
        config = read_json_object(path)
        if config.get("model_type") != "vjepa2":
            raise UserError(f"{path}: model_type is {config.get('model_type')!r}; expected 'vjepa2'.")
        size = options.image_size or config.get("crop_size", 256)
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
