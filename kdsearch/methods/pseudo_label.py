"""The student's own decisions as labels of samples that have none."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods.base import Method
from kdsearch.methods.fixmatch import fixmatch_loss
from kdsearch.methods.hyperparameter import RAMP, START, Hyperparameter, share
from kdsearch.methods.inputs import full_precision
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Choices, Range

CONFIDENCES = Choices(choices=(0.0, 0.8, 0.95))
"""Confidences that are searched, from every decision to almost certain ones."""


def pseudo_label_loss(student: Tensor, unlabelled: Tensor, confidence: float) -> Tensor:
    """Mean over the unlabelled of ce(z, argmax z), 0 where max softmax(z) is below the confidence.

    Lee 2013, equations 14 and 15, with every decision at confidence 0. The decision is taken as
    given: no gradient goes through it. Without unlabelled samples it is 0.

    Args:
        student: Logits z [B, K].
        unlabelled: Which samples have no label, [B].
        confidence: In [0, 1].
    """
    # of one view in place of two
    return fixmatch_loss(student, student, unlabelled, confidence)


class PseudoLabel(Method):
    """The student learns its own decisions on samples without a label; part ``pseudo_label``.

    It needs no teacher, so it is what distillation on unlabelled samples is compared with. The
    paper raises the weight linearly from epoch 100 to 600; here these are shares of the training.
    Under mixup and CutMix a sample counts where neither of the two images has a label.
    """

    name = "pseudo_label"
    kind = "unlabelled"
    paper = (
        "Lee 2013, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep "
        "Neural Networks"
    )
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(
            3.0, Range(low=0.1, high=20.0, log=True), "weight of the own decisions"
        ),
        "confidence": Hyperparameter(
            0.0, CONFIDENCES, "least probability of a decision that counts", maximum=1.0
        ),
        "start": share(START, 0.1),
        "ramp": share(RAMP, 0.5),
    }
    needs_teacher = False
    unlabelled = True

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"pseudo_label": scalar}``; the teacher is not read."""
        assert student.logits is not None, "the student's logits were not observed"
        logits = full_precision(student.logits)
        return {
            "pseudo_label": pseudo_label_loss(
                logits, targets.without_class(), self.values["confidence"]
            )
        }
