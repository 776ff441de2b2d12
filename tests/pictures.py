"""Batches of data that are images alone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from kdsearch.data import Batch
from kdsearch.methods.targets import Targets


def pictured(batch: Batch) -> tuple[Tensor, Mapping[str, Targets]]:
    """The images [B, C, H, W] of a batch, and its targets by task."""
    return batch.inputs["image"], batch.targets
