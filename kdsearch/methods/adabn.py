"""Adaptive batch normalisation: a network is evaluated with the statistics of the target domain."""

from __future__ import annotations

from torch import Tensor

from kdsearch.methods.base import Method
from kdsearch.methods.targets import Targets
from kdsearch.models.signals import Signals, SignalShapes


class AdaBN(Method):
    """Batch normalisation takes its means and variances from the target's training samples.

    It adds no loss. Before each evaluation, and in what is shipped, the running statistics are
    computed anew over all training samples of the target domain, without augmentation, as a mean
    over batches of about 512; no weight changes (:mod:`kdsearch.training.target_statistics`). The
    training itself goes by the statistics of its batches, as ever. Alone, it learns from the
    samples with a target, as ``none`` does; beside another term it adapts what that has trained.
    """

    name = "adabn"
    kind = "statistics"
    paper = (
        "Li, Wang, Shi, Liu & Hou 2016, Revisiting Batch Normalization For Practical Domain "
        "Adaptation"
    )
    signals = frozenset()
    hyperparameters = {}
    needs_teacher = False
    adapts = True

    @classmethod
    def unfit(cls, student: SignalShapes, teacher: SignalShapes) -> str | None:
        """Beside the general reasons: a student without batch normalisation."""
        reason = super().unfit(student, teacher)
        known = reason is None and bool(student.weights)
        if known and not any(name.endswith("running_mean") for name in student.weights):
            return "it adapts batch normalisation, and the student has none"
        return reason

    def forward(
        self, student: Signals, teacher: Signals, targets: Targets, progress: float
    ) -> dict[str, Tensor]:
        """No part at all."""
        return {}
