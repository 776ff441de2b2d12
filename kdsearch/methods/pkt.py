"""Probabilistic knowledge transfer: who is whose neighbour, as a probability."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.sp import unit_rows
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals
from kdsearch.spec.ranges import Range

_EPSILON = 1e-7
"""What every similarity is raised by, so that opposite samples have a finite logarithm."""


def transfer_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """mean over B × B of p_t · log(p_t / p_s) (Passalis & Tefas 2018).

    p = (cos + 1)/2 of the embeddings, each row divided by its sum. The mean over all B² pairs, a
    sample with itself among them, is that of the authors' code, for which the published weight
    holds. ε = 1e-7 is added before the division, not within the logarithm: rows then sum to 1, the
    loss is a Kullback-Leibler divergence, and none is below 0.

    Args:
        student: Embeddings [B, D_s].
        teacher: Embeddings [B, D_t].
    """
    p_s, p_t = neighbour_probabilities(student), neighbour_probabilities(teacher)
    return (p_t * (p_t / p_s).log()).mean()


def neighbour_probabilities(embeddings: Tensor) -> Tensor:
    """p [B, B]: each row the distribution of one sample's neighbours; a zero vector has cos 0."""
    units = unit_rows(embeddings)
    # By rounding, the cosine of opposite vectors may pass −1.
    similarities = ((units @ units.T + 1) / 2).clamp_min(0) + _EPSILON
    return similarities / similarities.sum(dim=1, keepdim=True)


class PKT(Method):
    """The divergence of the student's neighbourhoods from the teacher's; part ``pkt``.

    The batch is one worker's: with several workers each sees only the neighbours within its own
    share.
    """

    name = "pkt"
    kind = "relation"
    paper = (
        "Passalis & Tefas 2018, Learning Deep Representations with Probabilistic Knowledge Transfer"
    )
    relative_cost = 1.2
    signals = frozenset({Signal.EMBEDDING})
    batchwise = True
    hyperparameters = {
        "weight": Hyperparameter(
            30000.0, Range(low=1500.0, high=150000.0, log=True), "weight of the divergence"
        ),
    }

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"pkt": scalar}``."""
        return {"pkt": transfer_loss(*inputs.embeddings(student, teacher))}
