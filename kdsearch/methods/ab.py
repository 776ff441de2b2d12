"""Activation boundaries: which neurons respond at all, as an initialisation of the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.initialising import INITIALISATION, InitialisingMethod
from kdsearch.methods.stages import halving_sum, match_deepest, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range

MARGIN = 1.0
"""How far beyond the boundary the student's response must lie before it costs nothing."""

SCALE = 3 / 1000
"""Published factor of the sum, which runs over all neurons of a sample."""


def boundary_loss(student: Tensor, teacher: Tensor, margin: float = MARGIN) -> Tensor:
    """The squared distance to the teacher's side of every boundary, mean over the samples.

    Heo et al. 2019, the differentiable alternative to the activation transfer loss, with m the
    margin: (s + m)² where the teacher's neuron is off (t ≤ 0) and s > −m, (s − m)² where it is on
    (t > 0) and s ≤ m, else 0; summed over the neurons of a sample.

    Args:
        student: Values s [B, ...] before the activation, projected.
        teacher: Values t [B, ...] before the activation.
        margin: m > 0.
    """
    side = torch.where(teacher > 0, 1.0, -1.0).to(student.dtype)
    lacking = (margin - side * student).clamp(min=0)
    return lacking.square().sum() / len(student)


class ActivationBoundaries(InitialisingMethod):
    """The student learns which of the teacher's neurons respond, before all else; part ``ab``.

    Of the training, the first ``initialisation`` minimises this term alone; it then counts for
    nothing, and the cross-entropy and the other terms of a sum (``kd+ab``) train the student.

    Stages are matched from the deepest backwards; a longer network's shallow stages are left out.
    The i-th of n matched stages has the weight 2^(i − n), the deepest 1, and the sum is multiplied
    by 3/1000. Maps of different height or width are average-pooled to the smaller one.

    Attributes:
        connectors: For each matched stage, shallow to deep, a learnable 1×1 convolution of the
            student's values to the teacher's channels, and batch normalisation; also where the
            channels agree, since the student's scale need not be that of the margin. No part of
            the student.
    """

    name = "ab"
    kind = "feature"
    paper = (
        "Heo, Lee, Yun & Choi 2019, Knowledge Transfer via Distillation of Activation Boundaries "
        "Formed by Hidden Neurons"
    )
    relative_cost = 2.7
    signals = frozenset({Signal.PREACTIVATION})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.05, high=5.0, log=True), "weight of the sum over stages"
        ),
        "initialisation": INITIALISATION,
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        self.connectors = nn.ModuleList(
            nn.Sequential(nn.Conv2d(s[0], t[0], kernel_size=1, bias=False), nn.BatchNorm2d(t[0]))
            for s, t in match_deepest(student.maps, teacher.maps)
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"ab": scalar}``; 0, without the cost of the connectors, outside the initialisation."""
        pairs = match_deepest(student.preactivation, teacher.preactivation)
        assert len(pairs) == len(self.connectors), "the values before activation were not observed"
        maps = [inputs.maps(s, t) for s, t in pairs]
        if not self.initialises(progress):
            return {"ab": inputs.zero_of(maps[-1][0])}
        losses = [
            _stage_loss(connector, *pool_to_common(s, t))
            for connector, (s, t) in zip(self.connectors, maps, strict=True)
        ]
        return {"ab": SCALE * halving_sum(losses)}


def _stage_loss(connector: nn.Module, student: Tensor, teacher: Tensor) -> Tensor:
    return boundary_loss(inputs.normalised("ab", connector, student), teacher)
