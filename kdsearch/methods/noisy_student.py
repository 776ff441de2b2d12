"""The teacher's answers on a weak view as labels of the student's strong one."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Choices


def noisy_student_loss(
    strong: Tensor, teacher: Tensor, unlabelled: Tensor, confidence: float, hard: float
) -> Tensor:
    """Mean over the unlabelled of ce(z_strong, q), 0 where the teacher is below the confidence.

    Here q is (1 − hard) · softmax(z_t) + hard · onehot(argmax z_t), the soft or the hard labels of
    Xie et al. 2020, algorithm 1, or between them. Without unlabelled samples it is 0.

    Args:
        strong: The student's logits [B, K] of the strong views.
        teacher: The teacher's logits [B, K] of the weak views.
        unlabelled: Which samples have no label, [B].
        confidence: In [0, 1].
        hard: Share of the hard label in [0, 1].
    """
    answers = F.softmax(teacher, dim=1)
    sure, decided = answers.max(dim=1)
    labels = (1 - hard) * answers + hard * F.one_hot(decided, answers.shape[1])
    each = F.cross_entropy(strong, labels, reduction="none")
    return inputs.mean_of_sure(each, sure, unlabelled, confidence)


class NoisyStudent(Method):
    """What the teacher says of weak views is learnt from strong ones; part ``noisy_student``.

    It learns from the samples without a label of which the teacher is sure enough. What the
    student's noise is made of is the strong view (``data.strong_augment``) and whatever dropout it
    has. The cross-entropy of the labels sees the weak views, where the paper's sees strong ones,
    and classes are not balanced. With ``teaching.by: [born_again]`` the student teaches the next
    one, as the paper's does.
    """

    name = "noisy_student"
    kind = "unlabelled"
    paper = (
        "Xie, Luong, Hovy & Le 2020, Self-Training with Noisy Student Improves ImageNet "
        "Classification"
    )
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(1.0, WEIGHT_RANGE, "weight of the strongly augmented images"),
        "confidence": Hyperparameter(
            0.3,
            Choices(choices=(0.0, 0.3, 0.8)),
            "least probability of an answer that counts",
            maximum=1.0,
        ),
        "hard": Hyperparameter(
            0.0,
            Choices(choices=(0.0, 1.0)),
            "share of the hard label, the rest is the soft one",
            maximum=1.0,
        ),
    }
    unlabelled = True
    strong_view = True
    relative_cost = 2.0

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"noisy_student": scalar}``; of the student the strong views alone are read."""
        _, z_t = inputs.logits(student, teacher)
        given = self.values["confidence"], self.values["hard"]
        strong, without = inputs.strong_logits(student), targets.without_class()
        return {"noisy_student": noisy_student_loss(strong, z_t, without, *given)}
