"""Hints: a projected stage map of the student is regressed on the teacher's."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.stages import match_relative, pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference (Romero et al. 2015, equation 3, as a mean over all values).

    Args:
        student: Projected map [B, C, H, W].
        teacher: Map [B, C, H, W].
    """
    return F.mse_loss(student, teacher)


class FitNet(Method):
    """A 1×1 convolution of the student's map meets the teacher's map; part ``fitnet``.

    ``stage`` counts, from 1, the stages of whichever network has more of them; the other answers
    with its stage at the same relative depth. Maps of different height or width are average-pooled
    to the smaller one.

    Attributes:
        projector: The learnable 1×1 convolution; no part of the student.

    Raises:
        MethodError: ``stage`` is not a whole number, or no network has so many stages.
    """

    name = "fitnet"
    kind = "feature"
    paper = (
        "Romero, Ballas, Kahou, Chassang, Gatta & Bengio 2015, FitNets: Hints for Thin Deep Nets"
    )
    relative_cost = 1.2
    signals = frozenset({Signal.FEATURES})
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
        self.projector = nn.Conv2d(
            student.features[self.student_stage - 1][0],
            teacher.features[self.teacher_stage - 1][0],
            kernel_size=1,
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"fitnet": scalar}``."""
        f_s, f_t = inputs.maps(
            student.features[self.student_stage - 1], teacher.features[self.teacher_stage - 1]
        )
        # A 1×1 convolution and an average commute; to pool first is cheaper.
        f_s, f_t = pool_to_common(f_s, f_t)
        return {"fitnet": hint_loss(inputs.through(self.projector, f_s), f_t)}
