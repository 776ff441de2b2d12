"""The student's sure decisions on a weak view as labels of a strong one."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Choices

CONFIDENCES = Choices(choices=(0.7, 0.95))
"""Confidences that are searched: the published one, and less, for students that are seldom sure."""


def fixmatch_loss(weak: Tensor, strong: Tensor, unlabelled: Tensor, confidence: float) -> Tensor:
    """Mean over the unlabelled of ce(z_strong, argmax z_weak), 0 where max softmax(z_weak) is below
    the confidence.

    Sohn et al. 2020, equation 4. The decision is taken as given: no gradient goes through it.
    Without unlabelled samples it is 0.

    Args:
        weak: Logits [B, K] of the weak views.
        strong: Logits [B, K] of the strong views of the same samples.
        unlabelled: Which samples have no label, [B].
        confidence: In [0, 1].
    """
    sure, decided = F.softmax(weak.detach(), dim=1).max(dim=1)
    each = F.cross_entropy(strong, decided, reduction="none")
    return inputs.mean_of_sure(each, sure, unlabelled, confidence)


class FixMatch(Method):
    """The student's sure decisions on weak views are labels of the strong ones; part ``fixmatch``.

    It learns from the samples without a label and needs no teacher, so it is what distillation on
    them is compared with. Both views pass through the student at once, labelled samples too. In the
    paper the unlabelled samples are seven times as many as the labelled ones
    (``training.unlabelled_ratio``), have the labelled images among them, and the average of the
    weights (``training.ema``) is what is evaluated.
    """

    name = "fixmatch"
    kind = "unlabelled"
    paper = (
        "Sohn, Berthelot, Li, Zhang, Carlini, Cubuk, Kurakin, Zhang & Raffel 2020, FixMatch: "
        "Simplifying Semi-Supervised Learning with Consistency and Confidence"
    )
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(1.0, WEIGHT_RANGE, "weight of the strongly augmented images"),
        "confidence": Hyperparameter(
            0.95, CONFIDENCES, "least probability of a decision that counts", maximum=1.0
        ),
    }
    needs_teacher = False
    unlabelled = True
    strong_view = True
    relative_cost = 2.0

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"fixmatch": scalar}``; the teacher is not read."""
        assert student.logits is not None, "the student's logits were not observed"
        weak, strong = inputs.full_precision(student.logits), inputs.strong_logits(student)
        without, confidence = targets.without_class(), self.values["confidence"]
        return {"fixmatch": fixmatch_loss(weak, strong, without, confidence)}
