"""The same worker as one process or as many, under torchrun: who I am, and how the ranks agree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

# The other ranks wait while the first evaluates, samples and saves.
_TIMEOUT = timedelta(hours=2)


@dataclass(frozen=True)
class Ranks:
    """This process among its equals."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files, obeys commands and decides."""
        return self.rank == 0

    @staticmethod
    def from_environment() -> Ranks:
        """As torchrun tells it; a lone process without it."""
        read = {name: int(os.environ.get(name, default)) for name, default in _VARIABLES.items()}
        return Ranks(read["RANK"], read["LOCAL_RANK"], read["WORLD_SIZE"])

    def join(self, device: str) -> None:
        """Meet the other ranks: NCCL between CUDA devices, Gloo otherwise."""
        if self.world_size > 1:
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=_TIMEOUT)

    def leave(self) -> None:
        """Part from the other ranks."""
        if self.world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def agree(self, values: list[float], device: str) -> list[float]:
        """The first rank's `values`, on every rank."""
        if self.world_size == 1:
            return values
        where = device if device.startswith("cuda") else "cpu"
        shared = torch.tensor(values, dtype=torch.float64, device=where)
        dist.broadcast(shared, src=0)
        return [float(v) for v in shared.cpu()]

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a scalar over all ranks."""
        if self.world_size > 1:
            dist.all_reduce(value)
            value /= self.world_size
        return value


_VARIABLES = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
