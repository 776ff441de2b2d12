"""The methods of a study compared at one tuning budget, with intervals.

A sampler spreads its trials unevenly: a method with many has had more chances of a lucky one. So
each method is asked what n of its trials reach, n being the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kdsearch.data import derive
from kdsearch.methods import UNDISTILLED
from kdsearch.results.objectives import TO_BE_SMALL, Objectives
from kdsearch.results.record import TrialRecord

if TYPE_CHECKING:
    from kdsearch.results.study import Study

MIN_TRIALS = 3
"""Complete trials that a method needs to be scored."""

ENDS = ("", "_low", "_high")

DRAWS = 2000
"""Bootstrap samples of each method."""

COLUMNS = (
    "method",
    "objective",
    "trials",
    "budget",
    "hypervolume",
    "hypervolume_low",
    "hypervolume_high",
    "best_score",
    "best_score_low",
    "best_score_high",
    "gain",
    "gain_low",
    "gain_high",
    "clear",
)


def study_ranking(study: Study) -> pd.DataFrame:
    """:func:`method_ranking` of a study's search, relative to its teacher's size."""
    records = study.records()
    largest = study.largest[0] if records else 1  # without a trial there may be no teacher yet
    return method_ranking(records, study.objectives, largest, study.spec.study.seed)


def method_ranking(
    records: Sequence[TrialRecord], objectives: Objectives, reference_size: float, seed: int
) -> pd.DataFrame:
    """What n trials of each method reach on validation, best first; one row a method label.

    The budget n is the smallest number of complete trials that a method has, of those with at
    least :data:`MIN_TRIALS`. The hypervolume (see :func:`~kdsearch.results.front.hypervolume`) and
    the best score by the search's objective are expectations over n of the method's trials drawn
    without replacement, which is without bias however many trials there are (Tang et al. 2020,
    "Showing Your Work Doesn't Always Work"). At n trials out of n that has no spread, so the
    interval is that of n draws with replacement, the 2.5 and 97.5 % quantiles of :data:`DRAWS` of
    them, moved to the expectation and always around it. ``gain`` is the hypervolume beyond the
    undistilled baseline's, and ``clear`` tells that its interval leaves out 0.

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
    complete = _complete_trials(records)
    enough = {label: own for label, own in complete.items() if len(own) >= MIN_TRIALS}
    budget = min((len(own) for own in enough.values()), default=0)
    reached = {
        label: _reached(own, objectives, reference_size, budget, derive(seed, "ranking", label))
        for label, own in enough.items()
    }
    base = reached.get(UNDISTILLED)
    rows = [
        {"method": label, "objective": objectives.score, "trials": len(own), "budget": budget}
        | _scores(reached.get(label), None if label == UNDISTILLED else base, objectives)
        for label, own in complete.items()
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(
        ["hypervolume", "method"], ascending=[False, True], na_position="last", ignore_index=True
    )


@dataclass(frozen=True)
class _Reached:
    """Hypervolume and smallest loss, in this order, of n trials of one method.

    Attributes:
        mean: [2] expectations.
        draws: [DRAWS, 2] of n draws with replacement.
    """

    mean: np.ndarray
    draws: np.ndarray

    def interval(self, most: float) -> np.ndarray:
        """[2, 2] lower and upper ends, where a loss is at most so large."""
        return np.clip(np.stack(_moved(self.draws, self.mean)), 0.0, [1.0, most])


def _complete_trials(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """The complete trials of each method, of one that has none too."""
    found: dict[str, list[TrialRecord]] = {}
    for record in records:
        own = found.setdefault(record.task.method.label, [])
        if record.accuracy is not None:
            own.append(record)
    return found


def _reached(
    trials: Sequence[TrialRecord], objectives: Objectives, largest: float, budget: int, seed: int
) -> _Reached:
    """What so many of the trials reach.

    With b_k the best score among the first k trials, small ones first, as a height between 0 and
    1, the hypervolume is Σ b_k · step_k. The k-th step runs from the k-th relative log size to the
    next, the last one to 1.
    """
    costs = objectives.costs(sorted(trials, key=lambda record: record.size(objectives.size)))
    heights, sizes = np.maximum(1 - costs[:, 0], 0.0), costs[:, 1]
    ends = np.log(sizes) / np.log(largest) if largest > 1 else np.ones(len(sizes))
    steps = np.diff(np.minimum(ends, 1.0), append=1.0)
    chosen = np.random.default_rng(seed).integers(len(heights), size=(DRAWS, budget))
    drawn = np.zeros((DRAWS, len(heights)))
    np.put_along_axis(drawn, chosen, heights[chosen], axis=1)
    best = np.maximum.accumulate(drawn, axis=1)
    losses = costs[:, 0]
    return _Reached(
        mean=np.array(
            [_expected_best(heights, budget) @ steps, -_expected_best(-losses, budget)[-1]]
        ),
        draws=np.stack([best @ steps, losses[chosen].min(axis=1)], axis=1),
    )


def _expected_best(scores: np.ndarray, budget: int) -> np.ndarray:
    """[N] expected best score among the first k of N trials, ``budget`` of which are drawn.

    Drawn without replacement; none drawn counts as 0. The i-th best of the first k is the best that
    was drawn if the i − 1 better ones are absent and it is not, and i given trials are absent with
    probability C(N − i, n) / C(N, n).
    """
    count = len(scores)
    left = count - np.arange(count)
    absent = np.cumprod(np.append(1.0, np.maximum(left - budget, 0) / left))
    first = absent[:-1] - absent[1:]
    return np.array(
        [np.sort(scores[:k])[::-1] @ first[:k] for k in range(1, count + 1)], dtype=float
    )


def _moved(draws: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the 95 % interval of the draws, about another mean than their own."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0) - draws.mean(axis=0) + mean
    # draws that are alike but for a few rare ones leave their own mean outside
    return np.minimum(low, mean), np.maximum(high, mean)


def _scores(own: _Reached | None, base: _Reached | None, objectives: Objectives) -> dict[str, Any]:
    """The scores of a row; not a number where there is none, or nothing to compare with."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS[4:-1], float("nan")) | {"clear": False}
    if own is None:
        return row
    small = objectives.score in TO_BE_SMALL
    low, high = own.interval(math.inf if small else 1.0)
    told = {"hypervolume": (own.mean[0], low[0], high[0])}
    best = own.mean[1], low[1], high[1]
    told["best_score"] = best if small else (1 - best[0], 1 - best[2], 1 - best[1])
    if base is not None:
        gain = own.mean[0] - base.mean[0]
        low, high = _moved(own.draws[:, 0] - base.draws[:, 0], gain)
        told["gain"] = gain, low, high
        row["clear"] = low > 0 or high < 0
    for name, ends in told.items():
        row |= {f"{name}{end}": float(value) for end, value in zip(ENDS, ends, strict=True)}
    return row
