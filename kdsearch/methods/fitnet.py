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
    """A regression of the student's map meets the teacher's map; part ``fitnet``.

    The regressor ends in the non-linearity of the teacher's hint layer, a ReLU, behind batch
    normalisation: the weight 100 belongs to it. A linear one has about twice its gradient.

    ``stage`` counts, from 1, the stages of whichever network has more of them; the other answers
    with its stage at the same relative depth. Maps of different height or width are average-pooled
    to the smaller one.

    Attributes:
        projector: A learnable 1×1 convolution to the teacher's channels, batch normalisation and
            ReLU; no part of the student.

    Raises:
        MethodError: ``stage`` is not a whole number, or no network has so many stages; in
            training, one sample of 1×1 maps, which cannot be normalised.
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
        inner = student.features[self.student_stage - 1][0]
        outer = teacher.features[self.teacher_stage - 1][0]
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        self.projector = nn.Sequential(
            nn.Conv2d(inner, outer, kernel_size=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"fitnet": scalar}``."""
        f_s, f_t = inputs.maps(
            student.features[self.student_stage - 1], teacher.features[self.teacher_stage - 1]
        )
        f_s, f_t = pool_to_common(f_s, f_t)
        return {"fitnet": hint_loss(inputs.normalised(self.name, self.projector, f_s), f_t)}
