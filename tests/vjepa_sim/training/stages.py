"""Both stages, short."""

import os
import signal
from dataclasses import replace

import torch

from vjepa_sim.training.presets import PRESETS
from vjepa_sim.training.schedule import Schedule

RATE = Schedule(1e-4, 1e-3, 1e-5, warmup=1, shape="cosine")
STAGE_ONE = replace(PRESETS["tiny"].pretrain, steps=4, batch=4, learning_rate=RATE, strides=(1, 2))
SLOW = replace(STAGE_ONE, steps=1, learning_rate=Schedule(1e-9, 1e-8, 1e-9, warmup=1, shape="cosine"))
STAGE_TWO = replace(PRESETS["tiny"].train, steps=4, batch=4, learning_rate=RATE)


def quiet(step, steps, scalars):
    pass


def stop_after_steps(monkeypatch, steps):
    """Press Ctrl-C in the middle of a step, just after the weights have changed."""
    original, count = torch.optim.AdamW.step, 0

    def counted(self, *arguments, **named):
        nonlocal count
        count += 1
        result = original(self, *arguments, **named)
        if count == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])
