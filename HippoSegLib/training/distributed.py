"""One training by several processes, on several GPUs or machines: started by ``torchrun``.

    torchrun --nproc-per-node 2 -m HippoSegLib train …

Each process takes its share of every batch; ``DistributedDataParallel`` averages the gradients. The
loss is a mean over samples and the network has no statistics over a batch, so that n processes with a
batch of b are one process with a batch of n·b.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import distributed

from ..errors import TrainingError


def start(device: str = "auto") -> str:
    """Join the group that ``torchrun`` describes, if it does; return this process's device.

    Raises:
        TrainingError: The other processes cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        return device
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if cuda:
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            "The other processes of the training cannot be reached.",
            "Start it with torchrun, on all machines.",
        ) from error
    return device


class Team:
    """The processes that train together; alone, everything here does nothing."""

    def __init__(self):
        together = distributed.is_available() and distributed.is_initialized()
        self.rank = distributed.get_rank() if together else 0
        self.size = distributed.get_world_size() if together else 1

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return what to call in place of ``model``: its gradients are averaged over the team."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model, broadcast_buffers=False)

    def share(self, first: int, count: int) -> range:
        """Return which of ``count`` samples from ``first`` on are this process's."""
        return range(first + self.rank, first + count, self.size)

    def accumulating(self, network: torch.nn.Module, last: bool) -> AbstractContextManager[None]:
        """Context of a backward pass; gradients travel with the last of a step only."""
        from torch.nn.parallel import DistributedDataParallel

        if last or not isinstance(network, DistributedDataParallel):
            return nullcontext()
        return network.no_sync()

    def total(self, value: float, device: torch.device) -> float:
        """Return the sum of a number over the team."""
        if self.size == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.all_reduce(number)
        return number.item()

    def of_first(self, value: Any) -> Any:
        """Return what the first process has (tensors and plain values)."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]
