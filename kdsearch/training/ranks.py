"""The place of a process among the workers of one training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """One worker's rank among ``world_size`` workers that share each batch."""

    rank: int = 0
    world_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this worker speaks for all."""
        return self.rank == 0

    def share(self, index: Tensor) -> Tensor:
        """This worker's part of the sample indices of a batch."""
        return index[self.rank :: self.world_size]

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over the workers, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def sharing(self, module: nn.Module, unused: bool) -> nn.Module:
        """A module whose workers exchange the gradients of what requires some now.

        Args:
            module: The module, the same on every worker.
            unused: Whether some of its parameters may get no gradient in a step.
        """
        if self.world_size == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=unused)

    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Give every worker's ``tensors`` the values that the first worker's have, in place."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def decide(self, value: Tensor) -> bool:
        """What the first worker's ``value`` says, on every worker."""
        if self.world_size > 1:
            dist.broadcast(value, src=0)
        return bool(value)
