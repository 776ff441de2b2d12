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
        weights: [B] weights of the samples in the cross-entropy, or ``None`` where all count alike.
        partner_weights: [B] those of the images blended in, likewise.
    """

    labels: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None
    index: Tensor | None = None
    weights: Tensor | None = None
    partner_weights: Tensor | None = None

    def expect(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Batch mean of ``loss(labels)`` [B], in expectation over the two blended labels."""
        partner = None if self.partner is None else loss(self.partner)
        return self._blended(loss(self.labels), partner)

    def cross_entropy(
        self, logits: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """Cross-entropy with the labels times the samples' weights, summed and divided by B.

        Args:
            logits: [B, K].
            label_smoothing: Share of the target spread over the classes.
            class_weights: [K], as ``torch.nn.CrossEntropyLoss`` takes them; a mean over the
                weights in place of one over the samples is the caller's to take.
        """

        if class_weights is not None:
            class_weights = class_weights.to(logits.dtype)

        def loss(labels: Tensor, weights: Tensor | None) -> Tensor:
            one = F.cross_entropy(
                logits,
                labels,
                weight=class_weights,
                reduction="none",
                label_smoothing=label_smoothing,
            )
            return one if weights is None else weights * one

        partner = None if self.partner is None else loss(self.partner, self.partner_weights)
        return self._blended(loss(self.labels, self.weights), partner)

    def _blended(self, first: Tensor, partner: Tensor | None) -> Tensor:
        """Batch mean of the labels' losses [B], blended with those of the second labels."""
        if partner is None or self.share is None:
            return first.mean()
        return torch.lerp(partner, first, self.share.to(first.dtype)).mean()
