"""Where and how training computes: device, precision, and the processes that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from vjepa_sim.data.output import claimed
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.models.transformer import Block

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Compute:
    """One process's part in a training run. The default is a single process on the CPU.

    Attributes:
        device: of models and batches.
        bfloat16: whether matrix products run in bfloat16; weights and losses stay in float32.
        recompute: gradient checkpointing, see :func:`.run_blocks`.
        shard: split the encoder's weights over the processes (FSDP2) instead of keeping all of them in each.
        rank, ranks: this process's number, and how many there are.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bfloat16: bool = False
    recompute: bool = False
    shard: bool = False
    rank: int = 0
    ranks: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def claimed(
        self, out: Path, config_file: str, config: dict[str, Any], assumed: dict[str, Any] | None = None
    ) -> AbstractContextManager:
        """Hold an output folder for all processes, see :func:`.claimed`."""
        return claimed(out, config_file, config, assumed=assumed) if self.is_main else nullcontext()

    def spent(self, seconds: float) -> dict[str, float]:
        """What all processes took in this time: seconds of a ``core`` or a ``GPU``."""
        if self.device.type == "cpu":
            return {"core": seconds * self.ranks * torch.get_num_threads()}
        return {"GPU": seconds * self.ranks}

    def autocast(self) -> AbstractContextManager:
        """The precision of what is computed inside."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def rows(self, batch: int) -> range:
        """Which rows of a batch are this process's.

        Raises:
            UserError: the batch doesn't divide by the number of processes.
        """
        if batch % self.ranks:
            raise UserError(f"A batch of {batch} doesn't divide by {self.ranks} processes; give another --batch.")
        return range(self.rank, batch, self.ranks)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.ranks == 1:
            return flag
        told = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told)

    def union(self, ours: dict) -> dict:
        """All processes' entries together."""
        if self.ranks == 1:
            return ours
        theirs: list[dict] = [{} for _ in range(self.ranks)]
        dist.all_gather_object(theirs, ours)
        return {name: value for each in theirs for name, value in each.items()}

    def gather(self, z: torch.Tensor) -> torch.Tensor:
        """All processes' rows, with gradients to each; for losses that compare samples."""
        if self.ranks == 1:
            return z
        return _Gather.apply(z)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.ranks > 1:
            dist.barrier()

    def split(self, module: nn.Module) -> None:
        """Shard a module's weights over the processes, block by block, if that is wanted."""
        if not self.shard:
            return
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.device.type, (self.ranks,))
        for part in module.modules():
            if isinstance(part, Block):
                fully_shard(part, mesh=mesh)
        fully_shard(module, mesh=mesh, reshard_after_forward=True)

    def replicate(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that gradients are averaged over the processes."""
        if self.ranks == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)


class _Gather(torch.autograd.Function):
    """All processes' rows one after another; each gets back the sum of all gradients for its own."""

    @staticmethod
    def forward(context, z: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(z) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, z.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


@contextmanager
def computing(
    device: str = "auto", precision: str = "auto", recompute: bool = False, shard: bool = False
) -> Iterator[Compute]:
    """Join the processes that ``torchrun`` started, or be the only one.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        precision: ``auto`` is bfloat16 where a GPU has it, else float32.
        recompute, shard: see :class:`Compute`.

    Raises:
        UserError: the device is not there, or the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if shard and ranks == 1:
        raise UserError("--shard splits weights over processes; start several with torchrun --nproc-per-node N.")
    place = find_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    bfloat16 = precision == "bfloat16" or (
        precision == "auto" and place.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    if ranks > 1:
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Compute(place, bfloat16, recompute, shard, rank, ranks)
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that a user means; ``auto`` and ``cuda`` are the local rank's GPU.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name!r}: expected auto, cpu, cuda or cuda:NUMBER.") from error
    if device.type == "cuda":
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        if not torch.cuda.is_available() or device.index >= torch.cuda.device_count():
            raise UserError(f"--device {name}: PyTorch sees {torch.cuda.device_count()} GPUs here. Use --device cpu.")
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UserError(f"--device {name!r}: expected auto, cpu, cuda or cuda:NUMBER.")
    return device
