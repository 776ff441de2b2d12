"""The labels of a batch, blended or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """Labels of a batch; under mixup and CutMix a second label and the share of the first.

    Attributes:
        labels: [B] class indices.
        partner: [B] class indices of the images blended in, or ``None``.
        share: [B] share of the first image in [0, 1], or ``None``.
        index: [B] places of the (first) images in the training split, for methods that remember
            outputs by sample; ``None`` where nobody knows them.
    """

    labels: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None
    index: Tensor | None = None

    def expect(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Batch mean of ``loss(labels)`` [B], in expectation over the two blended labels."""
        first = loss(self.labels)
        if self.partner is None or self.share is None:
            return first.mean()
        return torch.lerp(loss(self.partner), first, self.share.to(first.dtype)).mean()

    def cross_entropy(self, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of ``logits`` [B, K] with the labels, mean over the batch."""
        return self.expect(
            lambda labels: F.cross_entropy(
                logits, labels, reduction="none", label_smoothing=label_smoothing
            )
        )
