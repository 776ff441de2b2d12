"""Variational information distillation: how well the student's stages tell the teacher's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import MethodError
from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.sequences import aligned, incomparable, mean_over_real, pointwise
from kdsearch.methods.stages import match_deepest
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, SignalKind, Signals, SignalShapes
from kdsearch.spec.ranges import Range

SMALLEST_VARIANCE = 1e-5
"""Added to every variance, so that the loss is bounded below."""


def vid_loss(mean: Tensor, teacher: Tensor, variance: Tensor, mask: Tensor | None = None) -> Tensor:
    """mean ½ [(μ − f_t)² / σ² + log σ²] (Ahn et al. 2019), over all values.

    The negative log-likelihood of the teacher's stage under a normal distribution, without its
    constant ½ log 2π; it may be negative.

    Args:
        mean: μ(f_s), the student's prediction: a map [B, C, H, W], a sequence [B, L, C] or a
            vector [B, C].
        teacher: Stage f_t of the same shape.
        variance: σ² [C], positive, one for each channel of the teacher.
        mask: [B, L], true at the positions of a sequence that count.
    """
    spread = variance[:, None, None] if mean.ndim == 4 else variance
    return 0.5 * mean_over_real((mean - teacher).square() / spread + spread.log(), mask)


class Regressor(nn.Module):
    """The normal distribution that one stage of the student predicts for one of the teacher.

    Args:
        student: Channels of the student's stage.
        teacher: Channels of the teacher's stage.
        variance: σ² at the beginning, above :data:`SMALLEST_VARIANCE`.
        kind: What both stages are.

    Attributes:
        mean: μ: three 1×1 convolutions without bias and ReLU between them, as many channels
            within as the teacher has; of sequences and vectors, linear layers.
        scale: a [C_t], with σ² = softplus(a) + :data:`SMALLEST_VARIANCE`.
    """

    def __init__(
        self, student: int, teacher: int, variance: float, kind: SignalKind = SignalKind.MAP
    ) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            pointwise(kind, student, teacher),
            nn.ReLU(),
            pointwise(kind, teacher, teacher),
            nn.ReLU(),
            pointwise(kind, teacher, teacher),
        )
        wanted = variance - SMALLEST_VARIANCE
        # The inverse of softplus, log(e^x − 1), written so that no large x overflows.
        self.scale = nn.Parameter(torch.full((teacher,), wanted + math.log(-math.expm1(-wanted))))

    @property
    def variance(self) -> Tensor:
        """σ² [C_t], with gradient."""
        return F.softplus(self.scale) + SMALLEST_VARIANCE

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss of two stages of the kind, such as [B, C_s, H, W] and [B, C_t, H, W]."""
        predicted = inputs.through(self.mean, student)
        return vid_loss(predicted, teacher, self.variance.to(predicted.dtype), mask)


class VID(Method):
    """The teacher's stages become likely given the student's; part ``vid``.

    The loss is summed over the stages, matched from the deepest backwards; a longer network's
    shallow stages are left out. Maps of different height or width are average-pooled to the
    smaller one before the regression. The variances are learned, so that a channel which the
    student cannot predict weighs less. Of sequences the positions must be the same ones; padding
    counts for nothing.

    Attributes:
        regressors: One :class:`Regressor` for each matched stage, shallow to deep; no part of the
            student.

    Raises:
        MethodError: ``initial_variance`` is too small for :data:`SMALLEST_VARIANCE`.
    """

    name = "vid"
    kind = "feature"
    paper = (
        "Ahn, Hu, Damianou, Lawrence & Dai 2019, Variational Information Distillation for "
        "Knowledge Transfer"
    )
    relative_cost = 3.5
    signals = frozenset({Signal.FEATURES})
    takes = frozenset({SignalKind.MAP, SignalKind.SEQUENCE, SignalKind.VECTOR})
    hyperparameters = {
        "weight": Hyperparameter(
            1.0, Range(low=0.05, high=5.0, log=True), "weight of the sum over stages"
        ),
        "initial_variance": Hyperparameter(
            5.0, None, "variance of every channel at the beginning", minimum=1e-4
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        variance = self.values["initial_variance"]
        smallest = self.hyperparameters["initial_variance"].minimum
        if variance < smallest:
            raise MethodError(
                f"vid's initial_variance is {variance:g}; set it to at least {smallest:g}"
            )
        self.regressors = nn.ModuleList(
            Regressor(s.channels, t.channels, variance, t.kind)
            for s, t in match_deepest(student.features, teacher.features)
        )

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: two matched stages that cannot be compared."""
        reason = super().unfit(student, teacher)
        if reason is not None:
            return reason
        pairs = match_deepest(student.features, teacher.features)
        return next(filter(None, (incomparable(*pair) for pair in pairs)), None)

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"vid": scalar}``."""
        pairs = match_deepest(student.features, teacher.features)
        assert len(pairs) == len(self.regressors), "the stages were not observed"
        losses = [
            regressor(*aligned(student, teacher, f_s, f_t))
            for regressor, (f_s, f_t) in zip(self.regressors, pairs, strict=True)
        ]
        return {"vid": torch.stack(losses).sum()}
