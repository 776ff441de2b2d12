"""Attention transfer: where a network looks, stage by stage."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.stages import match_deepest, no_positions, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean (Q_s/‖Q_s‖ − Q_t/‖Q_t‖)² over samples and positions.

    Zagoruyko & Komodakis 2017, equation 2 with the square of its norm, as in the authors' code,
    for which the published weight holds.

    Args:
        student: Attention maps Q_s [B, H, W], not negative.
        teacher: Attention maps Q_t [B, H, W].
    """
    return F.mse_loss(
        F.normalize(student.flatten(1), dim=1), F.normalize(teacher.flatten(1), dim=1)
    )


class AttentionTransfer(Method):
    """The student's attention maps meet the teacher's, summed over the stages; part ``at``.

    Stages are matched from the deepest backwards, so a longer network's shallow stages are left
    out. Maps of different height or width are average-pooled to the smaller one.
    """

    name = "at"
    kind = "feature"
    paper = "Zagoruyko & Komodakis 2017, Paying More Attention to Attention"
    relative_cost = 1.4
    signals = frozenset({Signal.ATTENTION})
    hyperparameters = {
        "weight": Hyperparameter(
            1000.0, Range(low=50.0, high=5000.0, log=True), "weight of the sum over stages"
        ),
    }

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: no pair of maps with more than one position."""
        reason = super().unfit(student, teacher)
        return reason or no_positions(student, teacher, "where the stage maps are active")

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"at": scalar}``."""
        losses = [
            attention_loss(*pool_to_common(*inputs.maps(q_s, q_t)))
            for q_s, q_t in match_deepest(student.attention, teacher.attention)
        ]
        assert losses, "the attention maps were not observed"
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return {"at": total}
