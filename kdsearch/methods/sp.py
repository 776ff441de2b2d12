"""Similarity-preserving distillation: which samples of a batch excite a network alike."""

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

_DEAD = 1e-6
"""Share of the longest row's norm below which a row counts as zero and has no direction."""


def unit_rows(table: Tensor) -> Tensor:
    """Rows of a table [N, M], divided by their L2 norms.

    Zero rows stay zero and get no gradient: divided by a tiny epsilon, their gradient would be
    finite and swamp every other.
    """
    norms = torch.linalg.vector_norm(table, dim=1, keepdim=True)
    dead = norms <= _DEAD * norms.detach().amax(dim=0, keepdim=True)
    return (table / norms.masked_fill(dead, 1.0)).masked_fill(dead, 0.0)


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """‖G_s − G_t‖²_F / B² with G the row-normalised F Fᵀ (Tung & Mori 2019).

    F [B, CHW] holds one flattened map a row, so that the maps may differ in every dimension but
    the batch.

    Args:
        student: Map [B, C_s, H_s, W_s].
        teacher: Map [B, C_t, H_t, W_t].
    """
    return F.mse_loss(_similarities(student), _similarities(teacher))


def _similarities(maps: Tensor) -> Tensor:
    """G [B, B], each row of norm 1."""
    flat = maps.flatten(1)
    return unit_rows(flat @ flat.T)


class SimilarityPreserving(Method):
    """The batch's similarities in the last stage map of both networks; part ``sp``.

    The batch is one worker's: with several workers each sees only the similarities within its own
    share.
    """

    name = "sp"
    kind = "relation"
    paper = "Tung & Mori 2019, Similarity-Preserving Knowledge Distillation"
    relative_cost = 1.2
    signals = frozenset({Signal.FEATURES})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            3000.0, Range(low=150.0, high=15000.0, log=True), "weight of the squared difference"
        ),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"sp": scalar}``."""
        f_s, f_t = inputs.maps(student.features[-1], teacher.features[-1])
        return {"sp": similarity_loss(f_s, f_t)}
