"""Correlation congruence: a kernel between the samples of a batch, the same in both networks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.sp import unit_rows
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def correlation(embeddings: Tensor, gamma: float, order: int) -> Tensor:
    """Σ_{p=0}^{P} e^{−2γ} (2γ)^p / p! · (x_i · x_j)^p [B, B] of unit vectors x.

    The Gaussian kernel exp(−γ‖x_i − x_j‖²) = e^{−2γ} · exp(2γ · x_i · x_j) with the Taylor series
    of the second factor cut off after order P (Peng et al. 2019).

    Args:
        embeddings: [B, D], of any norm; a zero vector has the product 0 with all.
        gamma: γ > 0.
        order: P ≥ 1.
    """
    units = unit_rows(embeddings)
    exponents = 2 * gamma * (units @ units.T)
    series = torch.ones_like(exponents)
    for power in range(order, 0, -1):  # Horner's scheme
        series = 1 + exponents / power * series
    return math.exp(-2 * gamma) * series


def congruence_loss(student: Tensor, teacher: Tensor, gamma: float, order: int) -> Tensor:
    """‖C_s − C_t‖²_F / B² of the two correlations (Peng et al. 2019).

    Args:
        student: Embeddings [B, D_s].
        teacher: Embeddings [B, D_t].
        gamma: γ > 0.
        order: P ≥ 1.
    """
    return F.mse_loss(correlation(student, gamma, order), correlation(teacher, gamma, order))


class CorrelationCongruence(Method):
    """Congruence of the batch's correlations, each network's in ``dimension`` dims; part ``cc``.

    The student's embedding passes a learnable linear layer, the teacher's a fixed random matrix
    with orthonormal rows or columns. A learnable layer of the teacher could make all its samples
    alike; the student's would do the same, and the loss would be 0 with nothing learnt. Up to
    ``dimension`` components the fixed matrix leaves the teacher's cosines as they are.

    The scale of the loss needs a word, for two weights are published. This is the paper's kernel
    and mean over B²; a public reproduction of it with the same γ and P takes the weight 100, the
    default here. The .02 of common benchmarks belongs to another form, the products of
    |e_s − e_t| of neighbouring samples summed over 128 dims: its values are thousands of times
    larger, and .02 would here be no distillation at all. The search range, 5 to 500, holds the
    weights from about 10, at which both forms' gradients are alike at first.

    The batch is one worker's: with several workers each sees only the correlations within its own
    share.

    Attributes:
        projector: The student's learnable layer; no part of the student.
        rotation: The teacher's fixed matrix [dimension, D_t]; a buffer.
    """

    name = "cc"
    kind = "relation"
    paper = (
        "Peng, Jin, Liu, Zhou, Wu, Liu, Li & Zhang 2019, Correlation Congruence for Knowledge "
        "Distillation"
    )
    relative_cost = 1.1
    signals = frozenset({Signal.EMBEDDING})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            100.0, Range(low=5.0, high=500.0, log=True), "weight of the squared difference"
        ),
        "dimension": Hyperparameter(
            128.0, None, "length of the projected embeddings", whole=True, minimum=1.0
        ),
        "gamma": Hyperparameter(0.4, None, "how fast the kernel falls with the distance"),
        "order": Hyperparameter(2.0, None, "order of the Taylor series", whole=True, minimum=1.0),
    }
    rotation: Tensor

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        dimension = int(self.values["dimension"])
        self.projector = nn.Linear(student.embedding, dimension)
        self.register_buffer(
            "rotation", nn.init.orthogonal_(torch.empty(dimension, teacher.embedding))
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"cc": scalar}``."""
        e_s, e_t = inputs.embeddings(student, teacher)
        projected = inputs.through(self.projector, e_s)
        rotated = e_t @ self.rotation.to(e_t.dtype).T
        gamma, order = self.values["gamma"], int(self.values["order"])
        return {"cc": congruence_loss(projected, rotated, gamma, order)}
