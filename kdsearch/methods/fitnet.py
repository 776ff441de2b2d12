"""Hints: a projected stage of the student is regressed on the teacher's."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.sequences import aligned, incomparable, mean_over_real, pointwise
from kdsearch.methods.stages import match_relative
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, SignalKind, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def hint_loss(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference (Romero et al. 2015, equation 3, as a mean over all values).

    Args:
        student: Projected map [B, C, H, W], sequence [B, L, D] or vector [B, D].
        teacher: The same of the teacher.
        mask: [B, L], true at the positions of a sequence that count.
    """
    if mask is None:
        return F.mse_loss(student, teacher)
    return mean_over_real((student - teacher).square(), mask)


class FitNet(Method):
    """A regression of the student's stage meets the teacher's; part ``fitnet``.

    The regressor of maps ends in the non-linearity of the teacher's hint layer, a ReLU, behind
    batch normalisation: the weight 100 belongs to it. A linear one has about twice its gradient.

    Sequences and vectors, whose layers end in no rectifier, have a linear layer at each position
    (the loss of hidden states of Jiao et al. 2020, TinyBERT, where its weight is 1). Both networks
    must have the same positions; padding counts for nothing.

    ``stage`` counts, from 1, the stages of whichever network has more of them; the other answers
    with its stage at the same relative depth. Maps of different height or width are average-pooled
    to the smaller one.

    Attributes:
        projector: A learnable 1×1 convolution to the teacher's channels, batch normalisation and
            ReLU; of sequences and vectors a linear layer alone. No part of the student.

    Raises:
        MethodError: ``stage`` is not a whole number, no network has so many stages, or the two
            at that depth cannot be compared; in training, one sample of 1×1 maps, which cannot be
            normalised.
    """

    name = "fitnet"
    kind = "feature"
    paper = (
        "Romero, Ballas, Kahou, Chassang, Gatta & Bengio 2015, FitNets: Hints for Thin Deep Nets"
    )
    relative_cost = 1.2
    signals = frozenset({Signal.FEATURES})
    takes = frozenset({SignalKind.MAP, SignalKind.SEQUENCE, SignalKind.VECTOR})
    hyperparameters = {
        "weight": Hyperparameter(
            100.0, Range(low=5.0, high=500.0, log=True), "weight of the squared error"
        ),
        "stage": Hyperparameter(2.0, None, "stage that is matched, counted from 1", whole=True),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        stage = self.values["stage"]
        counts = len(student.features), len(teacher.features)
        if stage != int(stage) or not 1 <= stage <= max(counts):
            raise MethodError(
                f"fitnet's stage is {stage:g}, but the student has {counts[0]} stages and the "
                f"teacher {counts[1]}; set stage to a whole number from 1 to {max(counts)}"
            )
        self.student_stage, self.teacher_stage = match_relative(int(stage), *counts)
        inner = student.features[self.student_stage - 1]
        outer = teacher.features[self.teacher_stage - 1]
        reason = incomparable(inner, outer)
        if reason:
            raise MethodError(f"fitnet cannot work on this pair: at stage {stage:g} {reason}")
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        layer = pointwise(inner.kind, inner.channels, outer.channels)
        self.by_maps = inner.kind == SignalKind.MAP
        self.projector = (
            nn.Sequential(layer, nn.BatchNorm2d(outer.channels), nn.ReLU())
            if self.by_maps
            else layer
        )

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: no two stages at one depth that can be compared."""
        reason = super().unfit(student, teacher)
        if reason is not None:
            return reason
        counts = len(student.features), len(teacher.features)
        places = (match_relative(stage, *counts) for stage in range(1, max(counts) + 1))
        reasons = [
            incomparable(student.features[s - 1], teacher.features[t - 1]) for s, t in places
        ]
        return None if None in reasons else reasons[0]

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"fitnet": scalar}``."""
        f_s, f_t, mask = aligned(
            student,
            teacher,
            student.features[self.student_stage - 1],
            teacher.features[self.teacher_stage - 1],
        )
        if self.by_maps:
            return {"fitnet": hint_loss(inputs.normalised(self.name, self.projector, f_s), f_t)}
        return {"fitnet": hint_loss(inputs.through(self.projector, f_s), f_t, mask)}
