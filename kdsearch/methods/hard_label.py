"""The teacher's decision as a second label."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals


def hard_label_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy with argmax z_t, mean over the batch (Touvron et al. 2021, equation 3).

    Args:
        student: Logits z_s [B, K].
        teacher: Logits z_t [B, K].
    """
    return F.cross_entropy(student, teacher.argmax(dim=1))


class HardLabel(Method):
    """The student learns the class that the teacher decides for; part ``hard_label``.

    Under mixup that is the teacher's decision on the blended image itself.
    """

    name = "hard_label"
    kind = "logit"
    paper = (
        "Touvron, Cord, Douze, Massa, Sablayrolles & Jégou 2021, Training Data-Efficient Image "
        "Transformers & Distillation through Attention"
    )
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(0.5, WEIGHT_RANGE, "weight of the teacher's label"),
    }
    ce_weight = 0.5

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"hard_label": scalar}``."""
        return {"hard_label": hard_label_loss(*inputs.logits(student, teacher))}
