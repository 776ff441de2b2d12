"""The ways to a small model compared by what they reach at a size, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kdsearch.data import derive
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
from kdsearch.ways import way_label

SHARES = (1 / 3, 2 / 3, 1.0)
"""Shares of a study's complete trials that are no larger than each of the sizes compared at."""

SCORES = tuple(f"best_score{end}" for end in ENDS)
COLUMNS = (
    "at_most",
    "way",
    "objective",
    "size",
    "trials",
    "fits",
    "budget",
    *SCORES,
    "first",
    "clear",
)


def way_ranking(records: Sequence[TrialRecord], objectives: Objectives, seed: int) -> pd.DataFrame:
    """What n trials of each way reach with students of at most some sizes; one row a size and way.

    As in :func:`~kdsearch.results.ranking.method_ranking` the budget n is the smallest number of
    complete trials that a way has, of those with at least
    :data:`~kdsearch.results.expected.MIN_TRIALS`, and the best score by the search's objective is
    an expectation over n of the way's trials. Those that are larger count as the worst loss, so
    that a way that seldom gets so small is not taken for good there; ``fits`` of its ``trials`` are
    small enough. The sizes are those of
    :data:`SHARES`. The ``first`` is the one of the highest expectation, and it is ``clear`` where
    the 95 % interval of its lead over the second, by bootstrap, leaves out 0.

    What is said there of samplers, seeds and few trials holds here too.

    Args:
        records: The trials of the search.
        objectives: What the search weighs; of several sizes the first counts.
        seed: The study's seed, from which the draws are made.

    Returns:
        The columns of :data:`COLUMNS`, the smallest size first and the best way first; no row where
        fewer than two ways have enough trials.
    """
    by_way = _by_way(records)
    enough = {label: own for label, own in by_way.items() if len(own) >= MIN_TRIALS}
    if len(enough) < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    budget = min(len(own) for own in enough.values())
    reached = {
        label: _Reached.of(own, objectives, budget, derive(seed, "ways", label))
        for label, own in enough.items()
    }
    sizes = np.sort([each.size(objectives.size) for own in enough.values() for each in own])
    limits = dict.fromkeys(sizes[max(round(share * len(sizes)), 1) - 1] for share in SHARES)
    rows = [row for limit in limits for row in _at(float(limit), reached, objectives, budget)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ways_of_few(records: Sequence[TrialRecord]) -> dict[str, int]:
    """The ways of some trials that have too few complete ones to be ranked, with their number."""
    counts = {label: len(own) for label, own in _by_way(records).items()}
    return {label: count for label, count in counts.items() if count < MIN_TRIALS}


def _by_way(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """The complete ones of some trials."""
    found: dict[str, list[TrialRecord]] = {}
    for record in records:
        own = found.setdefault(way_label(record.task.model.ways), [])
        if record.complete:
            own.append(record)
    return found


@dataclass(frozen=True)
class _Reached:
    """What n trials of a way reach among its first k, small ones first.

    Attributes:
        sizes: [N] sizes, ascending.
        means: [N] expected heights.
        draws: [DRAWS, N] heights of each draw.
    """

    sizes: np.ndarray
    means: np.ndarray
    draws: np.ndarray

    @staticmethod
    def of(
        trials: Sequence[TrialRecord], objectives: Objectives, budget: int, seed: int
    ) -> _Reached:
        ordered = sorted(trials, key=lambda record: record.size(objectives.size))
        losses = objectives.costs(ordered)[:, 0]
        heights = np.maximum(1 - losses / objectives.worst, 0.0)
        drawn = best_of_draws(heights, draws(len(heights), budget, seed))
        sizes = np.array([record.size(objectives.size) for record in ordered])
        return _Reached(sizes, expected_best(heights, budget), drawn)

    def within(self, limit: float) -> Figure:
        """The height that is reached by students of at most a size."""
        count = int(np.searchsorted(self.sizes, limit, side="right"))
        if count == 0:
            return Figure(0.0, np.zeros(len(self.draws)))
        return Figure(float(self.means[count - 1]), self.draws[:, count - 1])


def _at(
    limit: float, reached: Mapping[str, _Reached], objectives: Objectives, budget: int
) -> list[dict[str, Any]]:
    """The rows of a size, the best way first."""
    figures = {label: each.within(limit) for label, each in reached.items()}
    ranked = sorted(figures, key=lambda label: (-figures[label].mean, label))
    first, second = (figures[label] for label in ranked[:2])
    lead = Figure(first.mean - second.mean, first.draws - second.draws, 1.0, -1.0)
    clear = lead.ends()[1] > 0
    metric, worst = objectives.metric, objectives.worst
    rows = []
    for place, label in enumerate(ranked):
        own = [metric.from_loss((1 - height) * worst) for height in figures[label].ends()]
        mean, *ends = own
        rows.append(
            {
                "at_most": limit,
                "way": label,
                "objective": objectives.score,
                "size": objectives.size,
                "trials": len(reached[label].sizes),
                "fits": int((reached[label].sizes <= limit).sum()),
                "budget": budget,
                **dict(zip(SCORES, (mean, *sorted(ends)), strict=True)),
                "first": place == 0,
                "clear": place == 0 and clear,
            }
        )
    return rows
