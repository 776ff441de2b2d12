"""Semantic calibration: every stage of the student asks which of the teacher's it should follow."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from kdsearch.methods import inputs
from kdsearch.methods.base import Method
from kdsearch.methods.hyperparameter import Hyperparameter
from kdsearch.methods.sp import unit_rows
from kdsearch.methods.stages import pool_to_common
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signal, Signals, SignalShapes
from kdsearch.spec.ranges import Range

DIMENSION = 16
"""Length of queries and keys, as published for batches of 64."""

WIDEST = 512
"""Most channels within a projector."""


def stage_attention(queries: Tensor, keys: Tensor) -> Tensor:
    """α [B, S, T], the softmax over T of the products q_s · k_t (Chen et al. 2021).

    Args:
        queries: q [B, S, D], of norm 1, one for each stage of the student.
        keys: k [B, T, D], of norm 1, one for each stage of the teacher.
    """
    return (queries @ keys.transpose(1, 2)).softmax(dim=2)


def calibrated_loss(errors: Tensor, attention: Tensor) -> Tensor:
    """Σ_t α_st · e_st, mean over samples and the student's stages (Chen et al. 2021).

    The division by the number of the student's stages is the authors' code's, for which the
    published weight holds.

    Args:
        errors: e [B, S, T], the mean squared error of each sample and pair of stages.
        attention: α [B, S, T], with sum 1 over T.
    """
    return (attention * errors).sum(dim=2).mean()


def sample_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of maps [B, C, H, W], for each sample [B]."""
    return (student - teacher).square().flatten(1).mean(dim=1)


def _embedding(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, 2 * DIMENSION), nn.ReLU(), nn.Linear(2 * DIMENSION, DIMENSION)
    )


def _projector(student: int, teacher: int) -> nn.Sequential:
    middle = min(WIDEST, 2 * teacher)
    return nn.Sequential(
        # The normalisation takes the mean away, so a bias before it would learn nothing.
        nn.Conv2d(student, middle, kernel_size=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, middle, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, teacher, kernel_size=1, bias=False),
    )


def _embedded(layers: nn.ModuleList, maps: list[Tensor]) -> Tensor:
    """[B, stages, D]: the embeddings, of norm 1, of the maps' averages over their pixels."""
    pairs = zip(layers, maps, strict=True)
    return torch.stack(
        [unit_rows(inputs.through(layer, f.mean(dim=(2, 3)))) for layer, f in pairs], dim=1
    )


def _errors(projectors: nn.ModuleList, student: Tensor, teacher: list[Tensor]) -> Tensor:
    """[B, T]: how far the projections of one map are from each of the teacher's."""
    errors = []
    for projector, target in zip(projectors, teacher, strict=True):
        f_s, f_t = pool_to_common(student, target)
        errors.append(sample_error(inputs.normalised(SemCKD.name, projector, f_s), f_t))
    return torch.stack(errors, dim=1)


class SemCKD(Method):
    """Every stage of the student meets all of the teacher's, by attention; part ``semckd``.

    The attention of a sample compares a query of each stage of the student with a key of each of
    the teacher's. In the paper both come from the sample's row in the B×B table of similarities
    within the batch, through two linear layers with ReLU between them. Those layers fit one size
    of batch only. Here the same layers read the sample's stage map, averaged over its pixels, so
    that any batch fits and no sample's attention depends on others. The rest is as published:
    norm 1, softmax without a temperature, gradient through the queries into the student.

    For each pair the student's map goes through three convolutions (1×1, 3×3, 1×1), within which
    there are twice the teacher's channels, here at most :data:`WIDEST`. Maps of different height
    or width are average-pooled to the smaller one before. The helpers grow with the number of
    pairs.

    The published objective has 1 · cross-entropy + 1 · KL at temperature 4 + 400 times this term:
    write ``kd+semckd``, with the weight 1 for ``kd``, for it.

    Attributes:
        queries: One embedding for each stage of the student, shallow to deep; none, and no keys,
            where the teacher has a single stage and nothing is to be chosen.
        keys: One embedding for each stage of the teacher.
        projectors: For each stage of the student, one for each of the teacher; no part of the
            student, as all of these.
    """

    name = "semckd"
    kind = "feature"
    paper = (
        "Chen, Mei, Zhang, Wang, Wang, Feng & Chen 2021, Cross-Layer Distillation with Semantic "
        "Calibration"
    )
    relative_cost = 25.0
    signals = frozenset({Signal.FEATURES})
    hyperparameters = {
        "weight": Hyperparameter(
            400.0, Range(low=20.0, high=2000.0, log=True), "weight of the attended squared errors"
        ),
    }

    def __init__(
        self, student: SignalShapes, teacher: SignalShapes, **hyperparameters: float
    ) -> None:
        super().__init__(student, teacher, **hyperparameters)
        asked = len(teacher.maps) > 1
        self.queries = nn.ModuleList(_embedding(s[0]) for s in student.maps if asked)
        self.keys = nn.ModuleList(_embedding(t[0]) for t in teacher.maps if asked)
        self.projectors = nn.ModuleList(
            nn.ModuleList(_projector(s[0], t[0]) for t in teacher.maps) for s in student.maps
        )

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """``{"semckd": scalar}``."""
        assert student.features, "the student's maps were not observed"
        assert teacher.features, "the teacher's maps were not observed"
        f_s = [inputs.full_precision(values) for values in student.features]
        f_t = [inputs.maps(f_s[0], values)[1] for values in teacher.features]
        rows = zip(self.projectors, f_s, strict=True)
        errors = [_errors(cast(nn.ModuleList, row), values, f_t) for row, values in rows]
        attention = self._attention(f_s, f_t)
        return {"semckd": calibrated_loss(torch.stack(errors, dim=1), attention)}

    def _attention(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """α [B, S, T]; 1 where the teacher has a single stage."""
        if not self.keys:
            return student[0].new_ones(len(student[0]), len(student), 1)
        return stage_attention(_embedded(self.queries, student), _embedded(self.keys, teacher))
