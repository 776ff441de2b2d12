"""The targets of a batch in one task, blended or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kdsearch.problems.head import MISSING_CLASS


@dataclass(frozen=True)
class Targets:
    """Targets of a batch; under mixup and CutMix a second one and the share of the first.

    Attributes:
        labels: [B] class indices, -1 where one is missing; or labels [B, K] or values [B], NaN
            where missing.
        partner: Those of the images blended in, or ``None``.
        share: [B] share of the first image in [0, 1], or ``None``.
        index: [B] places of the (first) images in the training split, for methods that remember
            outputs by sample; ``None`` where nobody knows them.
        weights: [B] weights of the samples in the loss by the targets, or ``None`` where all count
            alike.
        partner_weights: [B] those of the images blended in, likewise.
        domain: [B] bool: which samples are of the target domain, the others of the source's, or
            ``None`` where all are of one domain.
    """

    labels: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None
    index: Tensor | None = None
    weights: Tensor | None = None
    partner_weights: Tensor | None = None
    domain: Tensor | None = None

    def without_class(self) -> Tensor:
        """Which samples [B] have no class, nor has what is blended into them."""
        without = self.labels == MISSING_CLASS
        return without if self.partner is None else without & (self.partner == MISSING_CLASS)

    def expect(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Batch mean of ``loss(labels)`` [B], in expectation over the two blended labels."""
        partner = None if self.partner is None else loss(self.partner)
        return self._blended(loss(self.labels), partner)

    def weighted(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Batch mean of ``loss(labels)`` [B], 0 for missing ones, times the samples' weights."""
        first = _times(self.weights, loss(self.labels))
        partner = None
        if self.partner is not None:
            partner = _times(self.partner_weights, loss(self.partner))
        return self._blended(first, partner)

    def _blended(self, first: Tensor, partner: Tensor | None) -> Tensor:
        """Batch mean of the labels' losses [B], blended with those of the second labels."""
        if partner is None or self.share is None:
            return first.mean()
        return torch.lerp(partner, first, self.share.to(first.dtype)).mean()


def _times(weights: Tensor | None, losses: Tensor) -> Tensor:
    return losses if weights is None else weights * losses
