"""Some samples as a training sees them: inputs and targets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:  # a process that only reads inputs never pays for methods
    from kdsearch.methods.targets import Targets


@dataclass(frozen=True)
class Batch:
    """Some views of an epoch.

    Attributes:
        inputs: Those of a network by name, each [B, ...], normalised: images [B, C, H, W],
            numbers [B, D].
        targets: The targets by task, where the inputs are.
        epoch: The epoch that the views belong to.
        index: [B] places of the samples in their split, where the feed was given them: what is
            read from files by those in host memory need not wait for a device.
        strong: The inputs of the same samples under ``data.strong_augment``, where they are read.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Targets]
    epoch: int
    index: Tensor
    strong: Mapping[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def device(self) -> torch.device:
        """Where the inputs are."""
        return next(iter(self.inputs.values())).device

    def first(self, count: int) -> Mapping[str, Tensor]:
        """The inputs of the first ``count`` samples."""
        return {name: each[:count] for name, each in self.inputs.items()}

    def laid_out(self, form: torch.memory_format) -> Batch:
        """The same with maps [B, C, H, W] in a memory format."""
        strong = None if self.strong is None else _laid_out(self.strong, form)
        return replace(self, inputs=_laid_out(self.inputs, form), strong=strong)


def _laid_out(inputs: Mapping[str, Tensor], form: torch.memory_format) -> dict[str, Tensor]:
    return {
        name: each.contiguous(memory_format=form) if each.ndim == 4 else each
        for name, each in inputs.items()
    }
