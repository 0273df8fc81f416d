"""Device, precision and processes of a training; several processes are started by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

from vjepa_sim.data.output import claimed
from vjepa_sim.envs.errors import UserError, unknown_name
from vjepa_sim.models.transformer import Block

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Compute:
    """One process's part in a training run. The default is a single process on the CPU.

    Attributes:
        device: Device of models and batches.
        bfloat16: Whether matrix products run in bfloat16; weights and losses stay in float32.
        recompute: Whether training uses gradient checkpointing, see :func:`.run_blocks`.
        shard: Whether the encoder's weights are sharded over the processes (FSDP2) instead of replicated.
        rank, ranks: Number of this process, counted from 0, and number of processes.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bfloat16: bool = False
    recompute: bool = False
    shard: bool = False
    rank: int = 0
    ranks: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    @contextmanager
    def claimed(
        self, out: Path, config_file: str, config: dict[str, Any], assumed: dict[str, Any] | None = None
    ) -> Iterator[None]:
        """Claim an output folder for all processes, see :func:`vjepa_sim.data.output.claimed`.

        All processes enter together: none writes into the folder before it is claimed.
        """
        refusal = None
        with ExitStack() as claim:
            if self.is_main:
                try:
                    claim.enter_context(claimed(out, config_file, config, assumed=assumed))
                except UserError as error:
                    refusal = error
            if self.any(refusal is not None):
                raise refusal or UserError(f"The main process could not use {out}; its message says why.")
            yield

    def spent(self, seconds: float) -> dict[str, float]:
        """Compute time of all processes over some seconds, in seconds of a ``core`` or a ``GPU``."""
        if self.device.type == "cpu":
            return {"core": seconds * self.ranks * torch.get_num_threads()}
        return {"GPU": seconds * self.ranks}

    def autocast(self) -> AbstractContextManager:
        """Context in which matrix products run in the chosen precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def rows(self, batch: int) -> range:
        """Rows of a batch that belong to this process.

        Raises:
            UserError: The batch isn't divisible by the number of processes.
        """
        if batch % self.ranks:
            raise UserError(f"A batch of {batch} isn't divisible by {self.ranks} processes; give another --batch.")
        return range(self.rank, batch, self.ranks)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.ranks == 1:
            return flag
        anywhere = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(anywhere, dist.ReduceOp.MAX)
        return bool(anywhere)

    def union(self, ours: dict) -> dict:
        """Entries of all processes in one dictionary."""
        if self.ranks == 1:
            return ours
        theirs: list[dict] = [{} for _ in range(self.ranks)]
        dist.all_gather_object(theirs, ours)
        return {name: value for each in theirs for name, value in each.items()}

    def gather(self, z: torch.Tensor) -> torch.Tensor:
        """Rows of all processes, differentiable; for losses that compare samples of the whole batch."""
        if self.ranks == 1:
            return z
        return cast(torch.Tensor, _Gather.apply(z))

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.ranks > 1:
            dist.barrier()

    def split(self, module: nn.Module) -> None:
        """Shard the weights of a module over the processes, block by block, if :attr:`shard` is set."""
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
        """Wrap a module so that its gradients are averaged over the processes; a sharded module does that itself."""
        if self.ranks == 1 or any(isinstance(each, DTensor) for each in module.parameters()):
            return module
        return nn.parallel.DistributedDataParallel(module)


class _Gather(torch.autograd.Function):
    """Concatenation of all processes' rows; the gradient of a row is summed over the processes."""

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
    """Join the processes that ``torchrun`` started, or compute in this process alone.

    Args:
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        precision: ``auto`` (bfloat16 on a GPU that supports it, else float32), ``float32`` or ``bfloat16``.
        recompute, shard: Memory savings, see :class:`Compute`.

    Raises:
        UserError: There is no such device, or the precision is unknown.
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
        yield Compute(device=place, bfloat16=bfloat16, recompute=recompute, shard=shard, rank=rank, ranks=ranks)
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """Find a device by name; ``auto`` and ``cuda`` are the GPU of the local rank.

    Raises:
        UserError: There is no such device.
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
