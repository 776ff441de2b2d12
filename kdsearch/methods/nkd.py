"""Normalised knowledge distillation: the target class, and the others among themselves."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.dkd import others
from kdsearch.methods.hyperparameter import TEMPERATURE, WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def target_loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """−t_y · log s_y [B], s and t being the softmaxes at temperature 1 (Yang et al. 2023).

    A cross-entropy that counts as much as the teacher is sure of the label.

    Args:
        student: Logits z_s [B, K].
        teacher: Logits z_t [B, K].
        labels: Target classes y [B].
    """
    sureness = teacher.softmax(dim=1).gather(1, labels.unsqueeze(1)).squeeze(1)
    return sureness * F.cross_entropy(student, labels, reduction="none")


def others_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """−T² · Σ_{i≠y} t̂_i · log ŝ_i [B] (ibid.).

    ŝ and t̂ are the softmaxes at T, divided by their sums over the classes other than y. That is
    the softmax of the other classes' logits alone, which needs no division: the sum may round to
    0. The target's column is left out, not masked with a large negative number.

    Args:
        student: Logits z_s [B, K], K ≥ 2.
        teacher: Logits z_t [B, K].
        labels: Target classes y [B].
        temperature: T > 0.
    """
    log_s = F.log_softmax(others(student, labels) / temperature, dim=1)
    p_t = F.softmax(others(teacher, labels) / temperature, dim=1)
    return -(temperature**2) * (p_t * log_s).sum(dim=1)


class NKD(Method):
    """The teacher's sureness of the label, and its view of the other classes; two parts.

    ``target`` has no temperature; ``others`` has one, and the factor γ. Both are cross-entropies:
    ``others`` is smallest, though not 0, where the other classes' shares are the teacher's, and
    ``target`` is 0 where the student is sure of the label, whatever the teacher says. Under mixup
    both are taken in expectation over the two labels. The published values are those of ImageNet;
    those of CIFAR-100, γ 3.5 at temperature 3, are in the search ranges.
    """

    name = "nkd"
    kind = "logit"
    paper = (
        "Yang, Zeng, Li, Zhang, Yuan & Li 2023, From Knowledge Distillation to Self-Knowledge "
        "Distillation: A Unified Approach with Normalized Loss and Customized Soft Labels"
    )
    relative_cost = 1.1
    signals = frozenset({Signal.LOGITS})
    by_label = True
    hyperparameters = {
        "weight": Hyperparameter(1.0, WEIGHT_RANGE, "weight of both parts together"),
        "temperature": Hyperparameter(
            1.0, TEMPERATURE.search, "temperature of the other classes", minimum=TEMPERATURE.minimum
        ),
        "gamma": Hyperparameter(
            1.5, Range(low=0.075, high=7.5, log=True), "weight of the other classes"
        ),
    }

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: with one class there is no other class."""
        reason = super().unfit(student, teacher)
        if reason is None and student.classes < 2:
            return "it needs at least 2 classes"
        return reason

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"target": scalar, "others": scalar}``, with γ."""
        z_s, z_t = inputs.logits(student, teacher)
        temperature = self.values["temperature"]
        others = targets.expect(lambda labels: others_loss(z_s, z_t, labels, temperature))
        return {
            "target": targets.expect(lambda labels: target_loss(z_s, z_t, labels)),
            "others": self.values["gamma"] * others,
        }
