"""Decoupled knowledge distillation: the target class and the other classes apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import RAMP, TEMPERATURE, WEIGHT_RANGE, Hyperparameter, share
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def tckd_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """T² · KL(b_t ‖ b_s) [B], b = (p_y, 1 − p_y) (Zhao et al. 2022, equation 5).

    With the log-odds d = z_y / T − logsumexp_{i≠y}(z_i / T), log p_y is logsigmoid(d) and
    log(1 − p_y) is logsigmoid(−d): finite at any gap between the logits.

    Args:
        student: Logits z_s [B, K], K ≥ 2.
        teacher: Logits z_t [B, K].
        labels: Target classes y [B].
        temperature: T > 0.
    """
    d_s = _log_odds(student / temperature, labels)
    d_t = _log_odds(teacher / temperature, labels)
    target = d_t.sigmoid() * (F.logsigmoid(d_t) - F.logsigmoid(d_s))
    others = (-d_t).sigmoid() * (F.logsigmoid(-d_t) - F.logsigmoid(-d_s))
    return temperature**2 * (target + others)


def nckd_loss(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """T² · KL(p̂_t ‖ p̂_s) [B], p̂ = softmax over the classes other than y (ibid., equation 5).

    The target's column is left out, not masked with a large negative number.

    Args:
        student: Logits z_s [B, K], K ≥ 2.
        teacher: Logits z_t [B, K].
        labels: Target classes y [B].
        temperature: T > 0.
    """
    log_s = F.log_softmax(others(student, labels) / temperature, dim=1)
    log_t = F.log_softmax(others(teacher, labels) / temperature, dim=1)
    divergence = F.kl_div(log_s, log_t, reduction="none", log_target=True)
    return temperature**2 * divergence.sum(dim=1)


def _log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log p_y − log(1 − p_y) [B] of softmax(logits)."""
    target = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    return target - others(logits, labels).logsumexp(dim=1)


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """The columns [B, K − 1] of all classes but the label's."""
    columns = torch.arange(logits.shape[1] - 1, device=logits.device)
    return logits.gather(1, columns + (columns >= labels.unsqueeze(1)))


class DKD(Method):
    """α · TCKD + β · NCKD; parts ``tckd`` and ``nckd``.

    Under mixup both are taken in expectation over the two labels. The published ramp takes 20 of
    240 epochs.
    """

    name = "dkd"
    kind = "logit"
    paper = "Zhao, Cui, Song, Qiu & Liang 2022, Decoupled Knowledge Distillation"
    relative_cost = 1.1
    signals = frozenset({Signal.LOGITS})
    by_label = True
    hyperparameters = {
        "weight": Hyperparameter(1.0, WEIGHT_RANGE, "weight of both parts together"),
        "temperature": TEMPERATURE,
        "alpha": Hyperparameter(1.0, None, "weight of the target class"),
        "beta": Hyperparameter(
            8.0, Range(low=0.5, high=16.0, log=True), "weight of the other classes"
        ),
        "ramp": share(RAMP, 20 / 240),
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
        """``{"tckd": scalar, "nckd": scalar}``, with α and β."""
        z_s, z_t = inputs.logits(student, teacher)
        temperature = self.values["temperature"]
        tckd = targets.expect(lambda labels: tckd_loss(z_s, z_t, labels, temperature))
        nckd = targets.expect(lambda labels: nckd_loss(z_s, z_t, labels, temperature))
        return {
            "tckd": self.values["alpha"] * tckd,
            "nckd": self.values["beta"] * nckd,
        }
