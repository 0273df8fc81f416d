"""Speed and memory of the world model's parts, by model size."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from vjepa_sim.agents.bench.timing import in_turn
from vjepa_sim.card import ModelCard
from vjepa_sim.models.ac_predictor import ACPredictor
from vjepa_sim.training.presets import PRESETS
from vjepa_sim.transform import ImageTransform
from vjepa_sim.world_model import WorldModel

MATRIX = 1024
STEP_FLOPS = 20e9  # of a batched predictor step; smaller models are timed with more samples
MAX_SAMPLES = 128
HORIZON = 4
TRAINING_FRAMES = 3
BYTES = 4  # float32


def bench_model(checkpoint: str, presets: tuple[str, ...], report: Callable[[int, int], None]) -> dict:
    """Measure encoding an image, a predictor step, a rollout of 4 steps and, for V-JEPA 2-AC's predictor, a training
    step.

    Each model is measured in a separate process, so that peak memory is its own.

    Args:
        checkpoint: checkpoint to measure first.
        presets: presets to measure with random weights; those that do not fit into memory are skipped.
        report: called with the number of models measured so far and in all.

    Returns:
        ``threads``, ``machine_gflops`` (of a matrix product), and for each model its seconds, arithmetic rates in
        GFLOP/s, parameters and peak memory in GB.
    """
    for preset in presets:
        PRESETS.check(preset)
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    seconds = np.median(in_turn({"product": lambda: a @ b}, rounds=5)["product"])
    result: dict = {"threads": torch.get_num_threads(), "machine_gflops": 2 * MATRIX**3 / seconds / 1e9}
    jobs = [(_measure_checkpoint, checkpoint), *((_measure_preset, preset) for preset in presets)]
    report(0, len(jobs))
    for done, (measure, name) in enumerate(jobs, start=1):
        # One process after another, so that none slows another down.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result[name] = pool.apply(measure, (name, torch.get_num_threads()))
        report(done, len(jobs))
    return result


def _measure_checkpoint(checkpoint: str, threads: int) -> dict:
    torch.set_num_threads(threads)
    return _measure(WorldModel.from_pretrained(checkpoint))


def _measure_preset(preset: str, threads: int) -> dict:
    torch.set_num_threads(threads)
    needed = _training_bytes(preset)
    if needed > _available_bytes():
        return {"skipped": f"needs {needed / 1e9:.1f} GB of memory; {_available_bytes() / 1e9:.1f} are free"}
    return _measure(WorldModel(_random_card(preset)).eval())


def _measure(model: WorldModel) -> dict:
    config = model.card.encoder
    rgb = np.random.default_rng(0).integers(0, 256, (1, config.image_size, config.image_size, 3), np.uint8)
    z, state = model.encode(rgb)[0], torch.zeros(7)
    result = {
        "encoder_parameters": _parameters(model.encoder),
        "weights_gb": _parameters(model) * BYTES / 1e9,
    }
    actions: dict[str, Callable[[], object]] = {"encode": lambda: model.encode(rgb)}
    flops = {"encode": _flops(lambda: model.encoder.still(model.card.transform(rgb)))}
    if model.predictor is not None:
        result["predictor_parameters"] = _parameters(model.predictor)
        one = torch.zeros(1, 1, 7)
        step_flops = _flops(lambda: model.rollout(z, state, one))
        samples = result["samples"] = int(np.clip(STEP_FLOPS / step_flops, 1, MAX_SAMPLES))
        many, far = torch.zeros(samples, 1, 7), torch.zeros(samples, HORIZON, 7)
        actions |= {
            "step": lambda: model.rollout(z, state, many),
            "rollout": lambda: model.rollout(z, state, far),
        }
        if isinstance(model.predictor, ACPredictor):  # others have training steps of their own
            predictor, clips = model.predictor, max(1, samples // 8)
            actions["train"] = lambda: _train_step(predictor, z, clips)
        flops |= {name: _flops(action) for name, action in actions.items() if name not in flops}
    result["peak_memory_after_one_step_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    rounds = 5 if sum(flops.values()) < 1e12 else 1
    times = {name: float(np.median(values)) for name, values in in_turn(actions, rounds).items()}
    for name, seconds in times.items():
        result |= {f"{name}_seconds": seconds, f"{name}_gflops": flops[name] / seconds / 1e9}
    return result


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _random_card(preset: str) -> ModelCard:
    sizes = PRESETS[preset]
    return ModelCard(
        name=preset,
        encoder=sizes.encoder,
        transform=ImageTransform(sizes.encoder.image_size),
        predictor=sizes.ac_predictor,
        decoders=False,
    )


def _train_step(predictor: ACPredictor, z: torch.Tensor, clips: int) -> None:
    latents = z.clone().expand(clips, TRAINING_FRAMES, -1, -1)
    conditions = torch.zeros(clips, TRAINING_FRAMES, 7)
    predictor(latents, conditions, conditions).square().mean().backward()
    predictor.zero_grad(set_to_none=True)


def _training_bytes(preset: str) -> float:
    """Approximate memory of a training step of the predictor: all weights, its gradients, and activations."""
    with torch.device("meta"):
        model = WorldModel(_random_card(preset))
    everything = _parameters(model)
    trained = 0 if model.predictor is None else _parameters(model.predictor)
    return BYTES * (everything + trained) + 3e9


def _available_bytes() -> float:
    """Memory that is free or can be freed, as Linux counts it."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024


def _flops(action: Callable[[], object]) -> int:
    """Floating-point operations of one call, counted by PyTorch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()
