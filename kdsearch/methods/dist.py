"""Distillation from a stronger teacher: correlations in place of divergences."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import TEMPERATURE, WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals

_FLAT = 1e-6
"""Norm below which a centred vector of probabilities is rounding noise and counts as constant."""


def pearson_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 − ρ of each row, mean over the rows, of two tables [N, M].

    For the centred unit vectors u of two rows, 1 − ρ = ½‖u_s − u_t‖². In this form identical rows
    give 0 exactly, also where they are constant and ρ is undefined.
    """
    u_s, u_t = (
        F.normalize(table - table.mean(dim=1, keepdim=True), dim=1, eps=_FLAT)
        for table in (student, teacher)
    )
    return (u_s - u_t).square().sum(dim=1).mean() / 2


def inter_class_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · mean over samples of 1 − ρ(row_s, row_t) (Huang et al. 2022, equation 9).

    Args:
        student: Logits [B, K].
        teacher: Logits [B, K].
        temperature: T > 0.
    """
    p_s, p_t = (F.softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * pearson_distance(p_s, p_t)


def intra_class_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · mean over classes of 1 − ρ(column_s, column_t) (ibid., equation 10).

    Args:
        student: Logits [B, K].
        teacher: Logits [B, K].
        temperature: T > 0.
    """
    p_s, p_t = (F.softmax(logits / temperature, dim=1) for logits in (student, teacher))
    return temperature**2 * pearson_distance(p_s.T, p_t.T)


class DIST(Method):
    """Correlation within each sample and within each class; parts ``inter`` and ``intra``.

    The columns of ``intra`` run over one worker's batch: with several workers each correlates its
    own share of it.
    """

    name = "dist"
    kind = "logit"
    paper = "Huang, You, Wang, Qian & Xu 2022, Knowledge Distillation from a Stronger Teacher"
    relative_cost = 1.1
    signals = frozenset({Signal.LOGITS})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(2.0, WEIGHT_RANGE, "weight of both parts together"),
        "temperature": TEMPERATURE,
        "beta": Hyperparameter(1.0, None, "weight of the correlation within a sample"),
        "gamma": Hyperparameter(1.0, None, "weight of the correlation within a class"),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"inter": scalar, "intra": scalar}``, with β and γ."""
        z_s, z_t = inputs.logits(student, teacher)
        temperature = self.values["temperature"]
        return {
            "inter": self.values["beta"] * inter_class_loss(z_s, z_t, temperature),
            "intra": self.values["gamma"] * intra_class_loss(z_s, z_t, temperature),
        }
