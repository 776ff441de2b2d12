"""Similarity-preserving distillation: which samples of a batch excite a network alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.targets import Targets
from kdsearch.models.network import without_padding
from kdsearch.models.signals import Signal, SignalKind, Signals
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

    F [B, CHW] holds one flattened stage a row, so that the two may differ in kind, and in every
    dimension but the batch.

    Args:
        student: Map [B, C, H, W], sequence [B, L, D] or vector [B, D].
        teacher: Another one of B samples.
    """
    return F.mse_loss(_similarities(student), _similarities(teacher))


def _similarities(stage: Tensor) -> Tensor:
    """G [B, B], each row of norm 1."""
    flat = stage.flatten(1)
    return unit_rows(flat @ flat.T)


class SimilarityPreserving(Method):
    """The batch's similarities in the last stage of both networks; part ``sp``.

    Similarities are compared, not stages, so that one network may have maps and the other
    sequences. Padding is 0 in a sequence's row.

    The batch is one worker's: with several workers each sees only the similarities within its own
    share.
    """

    name = "sp"
    kind = "relation"
    paper = "Tung & Mori 2019, Similarity-Preserving Knowledge Distillation"
    relative_cost = 1.2
    signals = frozenset({Signal.FEATURES})
    takes = frozenset({SignalKind.MAP, SignalKind.SEQUENCE, SignalKind.VECTOR})
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
        f_s, f_t = without_padding(f_s, student.mask), without_padding(f_t, teacher.mask)
        return {"sp": similarity_loss(f_s, f_t)}
