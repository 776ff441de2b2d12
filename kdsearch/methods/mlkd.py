"""Multi-level logit distillation: predictions, and how they go together in samples and classes."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import TEMPERATURE, WEIGHT_RANGE, Hyperparameter
from kdsearch.methods.kd import kd_loss
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Range

TEMPERATURES = (2.0, 3.0, 5.0, 6.0)
"""Temperatures at which predictions are compared beside the one that is chosen."""

_LEVEL_RANGE = Range(low=0.05, high=5.0, log=True)


def batch_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """‖G_s − G_t‖²_F / B, G = p pᵀ [B, B], p = softmax(z / T) (Jin et al. 2023).

    G holds how alike the predictions for two samples are.

    Args:
        student: Logits z_s [B, C].
        teacher: Logits z_t [B, C].
        temperature: T > 0.
    """
    p_s, p_t = ((logits / temperature).softmax(dim=1) for logits in (student, teacher))
    return (p_s @ p_s.T - p_t @ p_t.T).square().sum() / len(p_s)


def class_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """‖M_s − M_t‖²_F / C, M = pᵀ p [C, C], p = softmax(z / T) (ibid.).

    M holds how often two classes are predicted together in the batch.

    Args:
        student: Logits z_s [B, C].
        teacher: Logits z_t [B, C].
        temperature: T > 0.
    """
    p_s, p_t = ((logits / temperature).softmax(dim=1) for logits in (student, teacher))
    return (p_s.T @ p_s - p_t.T @ p_t).square().sum() / p_s.shape[1]


class MLKD(Method):
    """Alignment at three levels, each summed over five temperatures; three parts.

    ``instance`` is the divergence of kd, ``batch`` and ``class`` compare Gram matrices of the
    predictions, over ``temperature`` and :data:`TEMPERATURES`. A base temperature that is one of
    these counts twice.

    The Gram matrices are not divided by the number of their summands, as in the authors' code,
    for which the published weights hold at a batch of 64. So ``batch`` grows like B and ``class``
    like B²: with batches of another size their weights ``batch_level`` and ``class_level`` are
    worth a search. That code has a second, strongly augmented view of each image, and masks by
    the teacher's confidence; here each image has the one view that the training gives it, and
    none is masked. Its cross-entropy and ``instance`` count both views, the two relations one: so
    beside the cross-entropy they are a quarter as strong as in the paper's formula. The defaults
    are those strengths, which the published numbers were obtained with.

    The batch is one worker's: with several workers each compares those of its own share.
    """

    name = "mlkd"
    kind = "logit"
    paper = "Jin, Wang & Lin 2023, Multi-Level Logit Distillation"
    relative_cost = 1.3
    signals = frozenset({Signal.LOGITS})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(1.35, WEIGHT_RANGE, "weight of the three levels together"),
        "temperature": TEMPERATURE,
        "batch_level": Hyperparameter(1 / 3, _LEVEL_RANGE, "weight of the relations of samples"),
        "class_level": Hyperparameter(1 / 3, _LEVEL_RANGE, "weight of the relations of classes"),
    }
    ce_weight = 0.2

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"instance": scalar, "batch": scalar, "class": scalar}``, with their weights."""
        pair = inputs.logits(student, teacher)
        temperatures = (self.values["temperature"], *TEMPERATURES)
        instance, batch, classes = (
            torch.stack([loss(*pair, temperature) for temperature in temperatures]).sum()
            for loss in (kd_loss, batch_loss, class_loss)
        )
        return {
            "instance": instance,
            "batch": self.values["batch_level"] * batch,
            "class": self.values["class_level"] * classes,
        }
