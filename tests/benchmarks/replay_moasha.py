"""Syne Tune's multi-objective ASHA, driven with trials that it did not propose."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import (
    MOPriority,
    NonDominatedPriority,
)

from kdsearch.results.preference import preference
from kdsearch.results.record import TrialRecord


class FixedPriority(MOPriority):
    """Ranks by non-dominated sorting and an epsilon-net, the best point's the smallest."""

    def priority_unsafe(self, objectives: np.ndarray) -> np.ndarray:
        order = preference(np.asarray(objectives, dtype=float))
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        return ranks


def make_moasha(
    fixed: bool, epochs: int, grace: int, reduction: int, seed: int
) -> Callable[[TrialRecord], bool]:
    """Its decisions: whether a trial goes on, by its record with the latest report."""
    np.random.seed(seed)  # noqa: NPY002 - it draws from NumPy's one generator
    scheduler = MOASHA(
        config_space={},
        metrics=["error", "size"],
        time_attr="epoch",
        max_t=epochs,
        grace_period=grace,
        reduction_factor=reduction,
        multiobjective_priority=FixedPriority() if fixed else NonDominatedPriority(),
        random_seed=seed,
    )

    def decide(record: TrialRecord) -> bool:
        trial = Trial(record.number, {}, datetime.min)
        if len(record.epochs) == 1:
            scheduler.on_trial_add(trial)
        latest = record.epochs[-1]
        told = {
            "epoch": latest["epoch"],
            "error": 1 - latest["averaged_accuracy"],
            "size": math.log10(record.parameter_count),
        }
        return scheduler.on_trial_result(trial, told) != SchedulerDecision.STOP

    return decide
