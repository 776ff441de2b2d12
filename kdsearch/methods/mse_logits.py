"""Regression of the teacher's logits."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals


def mse_logits_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean (z_s − z_t)² over batch and classes (Kim et al. 2021).

    Args:
        student: Logits z_s [B, K].
        teacher: Logits z_t [B, K].
    """
    return F.mse_loss(student, teacher)


class MSELogits(Method):
    """The student's logits are regressed on the teacher's; part ``mse_logits``.

    Labels and values too, by the network's outputs of them.

    As published, the labels are not used: the weight of the cross-entropy is 0.
    """

    name = "mse_logits"
    kind = "logit"
    paper = (
        "Kim, Oh, Kim, Cho & Yun 2021, Comparing Kullback-Leibler Divergence and Mean Squared "
        "Error Loss in Knowledge Distillation"
    )
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(1.0, WEIGHT_RANGE, "weight of the squared error"),
    }
    ce_weight = 0.0
    tasks = frozenset({"class", "labels", "value"})

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"mse_logits": scalar}``."""
        return {"mse_logits": mse_logits_loss(*inputs.logits(student, teacher))}
