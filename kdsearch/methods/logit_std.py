"""Logit standardisation: distillation of what is left when mean and spread are taken away."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import TEMPERATURE, WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.kd import kd_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes

_EPSILON = 1e-7
"""Added to every standard deviation, as in the authors' code."""


def standardize(logits: Tensor) -> Tensor:
    """(z − mean z) / (1e-7 + std z) of each row (Sun et al. 2024).

    std is the sample standard deviation, with K − 1, as in the authors' code; the population's
    would act as a temperature √((K − 1) / K) times as high. A row that is constant but for
    rounding becomes 0, with zero gradient: the quotient would be that rounding, and its gradient
    about 1e7.

    Args:
        logits: z [B, K], K ≥ 2.
    """
    std, mean = torch.std_mean(logits, dim=1, keepdim=True)
    rounding = 8 * torch.finfo(logits.dtype).eps * logits.detach().abs().amax(dim=1, keepdim=True)
    return ((logits - mean) / (_EPSILON + std)).masked_fill(std.detach() <= rounding, 0.0)


def logit_std_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · mean_B KL(softmax(Z(z_t) / T) ‖ softmax(Z(z_s) / T)), Z being :func:`standardize`.

    Args:
        student: Logits z_s [B, K], K ≥ 2.
        teacher: Logits z_t [B, K].
        temperature: T > 0.
    """
    return kd_loss(standardize(student), standardize(teacher), temperature)


class LogitStandardization(Method):
    """The student imitates the order and the ratios of the teacher's logits; part ``logit_std``.

    Each network's logits are brought to mean 0 and standard deviation 1, sample by sample, so
    that the student's may keep a size of their own. The gradient is inverse to that size.
    """

    name = "logit_std"
    kind = "logit"
    paper = "Sun, Ren, Li, Wang & Cao 2024, Logit Standardization in Knowledge Distillation"
    relative_cost = 1.1
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {
        "weight": Hyperparameter(9.0, WEIGHT_RANGE, "weight of the divergence"),
        "temperature": Hyperparameter(
            2.0, TEMPERATURE.search, TEMPERATURE.about, minimum=TEMPERATURE.minimum
        ),
    }
    ce_weight = 0.1

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: a single logit has no spread."""
        reason = super().unfit(student, teacher)
        if reason is None and student.classes < 2:
            return "it needs at least 2 classes"
        return reason

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"logit_std": scalar}``."""
        z_s, z_t = inputs.logits(student, teacher)
        return {"logit_std": logit_std_loss(z_s, z_t, self.values["temperature"])}
