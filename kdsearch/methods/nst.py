"""Neuron selectivity transfer: the distributions of two networks' channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.stages import match_deepest, no_positions, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def nst_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the channels, mean over the samples.

    Huang & Wang 2017, the discrepancy with the polynomial kernel k(x, y) = (x · y)² (degree 2, no
    offset): mean k(t, t') + mean k(s, s') − 2 mean k(s, t), each mean over all pairs of channels
    of one sample, a channel being its map as a vector of length 1. A channel that is zero
    everywhere stays zero, with zero gradient. Memory grows as B · C².

    Args:
        student: Map [B, C_s, H, W].
        teacher: Map [B, C_t, H, W].
    """
    s, t = (F.normalize(maps.flatten(2), dim=2) for maps in (student, teacher))
    return _mean_kernel(t, t) + _mean_kernel(s, s) - 2 * _mean_kernel(s, t)


def _mean_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Mean of (x · y)² over samples and pairs of the vectors [B, C_x, N] and [B, C_y, N]."""
    return (x @ y.transpose(1, 2)).square().mean()


class NST(Method):
    """Where the student's channels respond meets where the teacher's do; part ``nst``.

    The discrepancy is summed over the stages, matched from the deepest backwards; a longer
    network's shallow stages are left out. Distributions are compared, not channels one by one, so
    their numbers may differ. Maps of different height or width are average-pooled to the smaller
    one. The published weight multiplies the discrepancy itself, not its half.
    """

    name = "nst"
    kind = "feature"
    paper = (
        "Huang & Wang 2017, Like What You Like: Knowledge Distill via Neuron Selectivity Transfer"
    )
    relative_cost = 2.8
    signals = frozenset({Signal.FEATURES})
    hyperparameters = {
        "weight": Hyperparameter(
            50.0, Range(low=2.5, high=250.0, log=True), "weight of the sum over stages"
        ),
    }

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: no pair of maps with more than one position."""
        reason = super().unfit(student, teacher)
        return reason or no_positions(student, teacher, "where the channels respond")

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"nst": scalar}``."""
        losses = [
            nst_loss(*pool_to_common(*inputs.maps(f_s, f_t)))
            for f_s, f_t in match_deepest(student.features, teacher.features)
        ]
        assert losses, "the stage maps were not observed"
        return {"nst": torch.stack(losses).sum()}
