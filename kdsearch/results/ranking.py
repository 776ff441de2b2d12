"""The methods of a study compared at one tuning budget, with intervals.

A sampler spreads its trials unevenly: a method with many has had more chances of a lucky one. So
each method is asked what n of its trials reach, n being the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kdsearch.data import derive
from kdsearch.problems import Metric
from kdsearch.results.expected import (
    ENDS,
    MIN_TRIALS,
    Figure,
    best_of_draws,
    draws,
    expected_best,
)
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord

SCORES = tuple(f"{name}{end}" for name in ("hypervolume", "best_score", "gain") for end in ENDS)
COLUMNS = ("method", "objective", "trials", "budget", "undistilled", *SCORES, "clear")


def method_ranking(
    records: Sequence[TrialRecord], objectives: Objectives, reference_size: float, seed: int
) -> pd.DataFrame:
    """What n trials of each method reach on validation, best first; one row a method label.

    The budget n is the smallest number of complete trials that a method has, of those with at
    least :data:`~kdsearch.results.expected.MIN_TRIALS`. The hypervolume (see
    :func:`~kdsearch.results.front.hypervolume`) and the best score by the search's objective are
    expectations over n of the method's trials drawn without replacement, which is without bias
    however many trials there are (Tang et al. 2020, "Showing Your Work Doesn't Always Work"). At n
    trials out of n that has no spread, so the interval is that of n draws with replacement, the
    2.5 and 97.5 % quantiles of :data:`~kdsearch.results.expected.DRAWS` of them, moved to the
    expectation and always around it. ``gain`` is the hypervolume beyond that of the undistilled
    baseline, or of the best method that needs no teacher, and ``clear`` tells that its interval
    leaves out 0.

    What this is not: the trials were chosen by a sampler that learns, so the trials of a method
    that it liked are placed better than chance, and one of few trials kept its early ones. The
    intervals cover the spread of trials, not of training seeds, and of few trials a bootstrap
    makes them too narrow: between two equal methods of 3 to 10 random trials each, simulated, the
    gain's interval left out 0 in 12 to 19 % of the studies. No correction is made for the number
    of methods. Failed trials count for nothing, neither as a score nor as budget; nor do those that
    a scheduler stopped, so that under one the figures are those of each method's survivors.

    Args:
        records: The trials of the search.
        objectives: What the search weighs; of several sizes the first counts.
        reference_size: The teacher's size, the reference of the hypervolume.
        seed: The study's seed, from which the draws are made.

    Returns:
        The columns of :data:`COLUMNS`; the hypervolume is a share in [0, 1], the best score in the
        objective's own unit. Methods with fewer complete trials come last, without scores.
    """
    complete: dict[str, list[TrialRecord]] = {}
    for record in records:
        own = complete.setdefault(record.task.method.label, [])
        if record.complete:
            own.append(record)
    enough = {label: own for label, own in complete.items() if len(own) >= MIN_TRIALS}
    budget = min((len(own) for own in enough.values()), default=0)
    reached = {
        label: _reached(own, objectives, reference_size, budget, derive(seed, "ranking", label))
        for label, own in enough.items()
    }
    baselines = {record.task.method.label for record in records if record.task.is_baseline}
    volumes = {label: each["hypervolume"] for label, each in reached.items() if label in baselines}
    base = max(volumes.values(), key=lambda volume: volume.mean, default=None)
    rows = [
        {"method": label, "objective": objectives.score, "trials": len(own), "budget": budget}
        | {"undistilled": label in baselines}
        | _scores(reached.get(label, {}), None if label in baselines else base)
        for label, own in complete.items()
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(
        ["hypervolume", "method"], ascending=[False, True], na_position="last", ignore_index=True
    )


def _reached(
    trials: Sequence[TrialRecord], objectives: Objectives, largest: float, budget: int, seed: int
) -> dict[str, Figure]:
    """The hypervolume and the best score of so many of the trials.

    With b_k the best score among the first k trials, small ones first, as a height between 0 and
    1, the hypervolume is Σ b_k · step_k. The k-th step runs from the k-th relative log size to the
    next, the last one to 1.
    """
    costs = objectives.costs(sorted(trials, key=lambda record: record.size(objectives.size)))
    losses, log_sizes = costs[:, 0], costs[:, 1]
    heights = np.maximum(1 - losses / objectives.worst, 0.0)
    ends = log_sizes / np.log10(largest) if largest > 1 else np.ones(len(log_sizes))
    steps = np.diff(np.minimum(ends, 1.0), append=1.0)
    chosen = draws(len(heights), budget, seed)
    volumes = best_of_draws(heights, chosen) @ steps
    smallest, drawn_losses = -expected_best(-losses, budget)[-1], losses[chosen].min(axis=1)
    best = _best(objectives.metric, smallest, drawn_losses)
    volume = Figure(float(expected_best(heights, budget) @ steps), volumes)
    return {"hypervolume": volume, "best_score": best}


def _best(metric: Metric, smallest: float, drawn: np.ndarray) -> Figure:
    """The best score from the expected smallest loss, and that of each draw [DRAWS]."""
    low, high = metric.limits
    return Figure(metric.from_loss(smallest), metric.from_loss(drawn), most=high, least=low)


def _scores(own: Mapping[str, Figure], base: Figure | None) -> dict[str, Any]:
    """The scores of a row; none where there are none, no gain without anything to compare with."""
    figures = dict(own)
    if own and base is not None:
        volume = own["hypervolume"]
        gain = volume.mean - base.mean
        figures["gain"] = Figure(gain, volume.draws - base.draws, math.inf, -math.inf)
    row: dict[str, Any] = {
        f"{name}{end}": value
        for name, figure in figures.items()
        for end, value in zip(ENDS, figure.ends(), strict=True)
    }
    return row | {"clear": row.get("gain_low", 0) > 0 or row.get("gain_high", 0) < 0}
