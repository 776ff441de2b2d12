"""Relational knowledge distillation: distances and angles between the samples of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Range

_COINCIDENT = 1e-6
"""Share of the mean distance below which two samples count as one point, without a direction."""


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of d_ij / μ (Park et al. 2019, equations 5 to 8).

    d_ij = ‖e_i − e_j‖, μ its mean over all i ≠ j of the batch. The mean runs over all B² pairs, as
    in the authors' code, for which the published weights hold.

    Args:
        student: Embeddings [B, D_s].
        teacher: Embeddings [B, D_t].
    """
    d_s, d_t = (_distances(_differences(e)) for e in (student, teacher))
    return F.smooth_l1_loss(d_s / _mean_distance(d_s), d_t / _mean_distance(d_t))


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of the cosines of the angles j-i-k (Park et al. 2019, equations 9 to 11).

    The mean runs over all B³ triples, as in the authors' code; where two points of a triple
    coincide its cosine is 0. Memory grows as B³.

    Args:
        student: Embeddings [B, D_s].
        teacher: Embeddings [B, D_t].
    """
    u_s, u_t = (_directions(_differences(e)) for e in (student, teacher))
    return F.smooth_l1_loss(u_s @ u_s.transpose(1, 2), u_t @ u_t.transpose(1, 2))


def _differences(embeddings: Tensor) -> Tensor:
    """[B, B, D]: e_j − e_i at [i, j]."""
    return embeddings.unsqueeze(0) - embeddings.unsqueeze(1)


def _distances(differences: Tensor) -> Tensor:
    """[B, B]; the gradient at distance 0 is 0."""
    return torch.linalg.vector_norm(differences, dim=2)


def _mean_distance(distances: Tensor) -> Tensor:
    """Mean over pairs of different samples; 1 where all samples coincide."""
    count = len(distances)
    mean = distances.sum() / max(count * (count - 1), 1)
    return torch.where(mean > 0, mean, torch.ones_like(mean))


def _directions(differences: Tensor) -> Tensor:
    """Unit vectors [B, B, D]; zero, with zero gradient, between samples that coincide."""
    distances = _distances(differences)
    coincident = distances <= _COINCIDENT * _mean_distance(distances).detach()
    return F.normalize(differences, dim=2).masked_fill(coincident.unsqueeze(2), 0.0)


class RKD(Method):
    """The batch's geometry in the student's space and in the teacher's; two parts.

    ``distance`` and ``angle`` compare ratios of distances and angles, so the two embeddings may
    differ in length and scale. The batch is one worker's: with several workers each sees only
    the relations within its own share.
    """

    name = "rkd"
    kind = "relation"
    paper = "Park, Kim, Lu & Cho 2019, Relational Knowledge Distillation"
    relative_cost = 1.5
    signals = frozenset({Signal.EMBEDDING})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.05, high=5.0, log=True), "weight of both parts together"
        ),
        "distance": Hyperparameter(25.0, None, "weight of the distances"),
        "angle": Hyperparameter(50.0, None, "weight of the angles"),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"distance": scalar, "angle": scalar}``, with their weights 25 and 50."""
        e_s, e_t = inputs.embeddings(student, teacher)
        return {
            "distance": self.values["distance"] * distance_loss(e_s, e_t),
            "angle": self.values["angle"] * angle_loss(e_s, e_t),
        }
