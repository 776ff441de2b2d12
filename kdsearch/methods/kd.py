"""Knowledge distillation from softened outputs."""

from __future__ import annotations

import torch
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


def binary_kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """:func:`kd_loss` of each label by itself, as two classes with logits z and 0; their mean.

    Args:
        student: Logits z_s [B, K] of labels.
        teacher: Logits z_t [B, K].
        temperature: T > 0.
    """
    pairs = (torch.stack((z, torch.zeros_like(z)), dim=-1) for z in (student, teacher))
    z_s, z_t = (pair.flatten(end_dim=1) for pair in pairs)
    return kd_loss(z_s, z_t, temperature)


class KD(Method):
    """The student imitates the teacher's softened class probabilities; part ``kd``.

    Each of several labels counts as two classes. A value has no probabilities to soften: of it, the
    mean squared distance to the teacher's is taken, in standard deviations of the targets.
    """

    name = "kd"
    kind = "logit"
    paper = "Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(0.9, WEIGHT_RANGE, "weight of the divergence"),
        "temperature": TEMPERATURE,
    }
    ce_weight = 0.1
    tasks = frozenset({"class", "labels", "value"})
    counts_for = {"temperature": frozenset({"class", "labels"})}

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"kd": scalar}``."""
        z_s, z_t = inputs.logits(student, teacher)
        if self.task == "value":
            return {"kd": F.mse_loss(z_s, z_t)}
        loss = kd_loss if self.task == "class" else binary_kd_loss
        return {"kd": loss(z_s, z_t, self.values["temperature"])}
