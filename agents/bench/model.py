"""The world model's parts: time, and arithmetic rate beside the machine's own."""

from __future__ import annotations

import numpy as np
import torch

from agents.bench.timing import in_turn
from vjepa_sim.encoder import encode_still
from vjepa_sim.world_model import WorldModel

SAMPLES = 128
ROUNDS = 5
MATRIX = 1024


def bench_model(checkpoint: str) -> dict:
    """Encoding a picture, predictor steps for one and many samples, a rollout of 4, and a training step."""
    model = WorldModel.from_pretrained(checkpoint)
    config = model.card.encoder
    rgb = np.random.default_rng(0).integers(0, 256, (1, config.image_size, config.image_size, 3), np.uint8)
    z, state = model.encode(rgb)[0], torch.zeros(7)
    one, many, four = torch.zeros(1, 1, 7), torch.zeros(SAMPLES, 1, 7), torch.zeros(SAMPLES, 4, 7)
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)

    def train_step() -> None:
        latents = z.clone().expand(16, 3, -1, -1)
        model.predictor(latents, torch.zeros(16, 3, 7), torch.zeros(16, 3, 7)).square().mean().backward()
        model.zero_grad(set_to_none=True)

    times = in_turn(
        {
            "matrix_product": lambda: a @ b,
            "encode": lambda: model.encode(rgb),
            "predict_1": lambda: model.rollout(z, state, one),
            f"predict_{SAMPLES}": lambda: model.rollout(z, state, many),
            f"rollout_4_of_{SAMPLES}": lambda: model.rollout(z, state, four),
            "train_step_16_clips": train_step,
        },
        ROUNDS,
    )
    result: dict = {"checkpoint": model.card.name, "threads": torch.get_num_threads()}
    result |= {f"{name}_seconds": float(np.median(values)) for name, values in times.items()}
    result["machine_gflops"] = 2 * MATRIX**3 / result["matrix_product_seconds"] / 1e9
    result["encode_gflops"] = (
        _flops(lambda: encode_still(model.encoder, model.card.transform(rgb))) / result["encode_seconds"] / 1e9
    )
    many_flops = _flops(lambda: model.rollout(z, state, many))
    result[f"predict_{SAMPLES}_gflops"] = many_flops / result[f"predict_{SAMPLES}_seconds"] / 1e9
    result["encoder_parameters"] = sum(parameter.numel() for parameter in model.encoder.parameters())
    result["predictor_parameters"] = sum(parameter.numel() for parameter in model.predictor.parameters())
    return result


def _flops(action) -> int:
    """Floating-point operations of one call, counted by PyTorch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()
