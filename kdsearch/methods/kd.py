"""Knowledge distillation from softened outputs."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import TEMPERATURE, WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals


def kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · mean_B KL(softmax(z_t / T) ‖ softmax(z_s / T)) (Hinton et al. 2015, section 2).

    The factor T² keeps the size of the gradient about the same at every temperature.

    Args:
        student: Logits z_s [B, K].
        teacher: Logits z_t [B, K].
        temperature: T > 0.
    """
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * divergence


class KD(Method):
    """The student imitates the teacher's softened class probabilities; part ``kd``."""

    name = "kd"
    kind = "logit"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(0.9, WEIGHT_RANGE, "weight of the divergence"),
        "temperature": TEMPERATURE,
    }
    ce_weight = 0.1

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"kd": scalar}``."""
        z_s, z_t = inputs.logits(student, teacher)
        return {"kd": kd_loss(z_s, z_t, self.values["temperature"])}
