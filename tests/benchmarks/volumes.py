"""How fronts grow with what is spent, and how much less a search needs than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from kdsearch.results.finalists import interval
from kdsearch.results.front import hypervolume
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord

SHARES = (0.1, 0.2, 1 / 3, 0.5, 2 / 3, 1.0)
"""Of the budget, for the table."""
GRID = np.linspace(0, 1, 241)
"""Of the budget, for the figure and for the ratio."""
RESAMPLES = 2_000
BASE = "tpe"
"""The search that all are compared with."""


@dataclass(frozen=True)
class Progress:
    """How the front of a search grew.

    Attributes:
        compute: [N] what was spent when a trial was complete, in whole trainings.
        volume: [N] hypervolume of the front on validation then.
        trials: Trials that were begun.
        tested: [N] the same front's by its scores on the test, where known.
    """

    compute: np.ndarray
    volume: np.ndarray
    trials: int
    tested: np.ndarray | None = None

    def on_test(self) -> Progress:
        """The same by the scores on the test."""
        assert self.tested is not None
        return Progress(self.compute, self.tested, self.trials)

    def at(self, compute: np.ndarray) -> np.ndarray:
        """[M] hypervolume when so much was spent; 0 before the first trial was complete."""
        places = np.searchsorted(self.compute, compute, side="right")
        return np.append(0.0, self.volume)[places]


def growth(
    records: Sequence[TrialRecord],
    objectives: Objectives,
    largest: Sequence[float],
    epochs: int,
    cost: Callable[[TrialRecord], float] = lambda _: 1.0,
) -> Progress:
    """How a front grew with the epochs of the trials that had ended or come to a rung.

    Args:
        records: Every record of a trial, in the order in which they came.
        objectives: What is weighed.
        largest: Sizes of the teacher.
        epochs: Epochs of a whole training.
        cost: Of an epoch of a trial.
    """
    spent, volumes = [], []
    trained: dict[int, float] = {}
    for place, record in enumerate(records):
        trained[record.number] = len(record.epochs) * cost(record)
        if record.complete:
            spent.append(sum(trained.values()) / epochs)
            volumes.append(hypervolume(records[: place + 1], objectives, largest))
    return Progress(np.array(spent), np.array(volumes), len(trained))


def figures(searches: Mapping[str, Sequence[Progress]], budget: float) -> dict[str, Any]:
    """The figures of searches with some seeds each.

    Args:
        searches: By name; one is :data:`BASE`.
        budget: What each could spend, in whole trainings.
    """
    curves = volumes(searches, budget)
    return {
        "hypervolume": {name: by_share(found) for name, found in curves.items()},
        "compute_ratio_to_tpe": {
            name: compute_ratio(found, curves[BASE]) for name, found in curves.items()
        },
        "trials": {
            name: float(np.mean([each.trials for each in found]))
            for name, found in searches.items()
        },
        "budget": budget,
    }


def volumes(searches: Mapping[str, Sequence[Progress]], budget: float) -> dict[str, np.ndarray]:
    """[seeds, len(GRID)] hypervolumes of each search."""
    return {
        name: np.array([each.at(GRID * budget) for each in found])
        for name, found in searches.items()
    }


def by_share(found: np.ndarray) -> dict[str, dict[str, float]]:
    """Hypervolume at some shares of the budget.

    Args:
        found: [seeds, len(GRID)] hypervolumes.
    """
    figures = {}
    for share in SHARES:
        at = interval(found[:, int(np.searchsorted(GRID, share - 1e-9))].tolist())
        figures[f"{share:.3g}"] = {"mean": at.mean, "half_width": at.half_width}
    return figures


def compute_ratio(found: np.ndarray, base: np.ndarray) -> dict[str, float | None]:
    """After which share of the budget a search has the base's mean final hypervolume.

    Args:
        found: [seeds, len(GRID)] hypervolumes.
        base: The same of the search that it is compared with.
    """
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = (generator.integers(len(each), size=len(each)) for each in (found, base))
        ours, theirs = (each[row] for each, row in zip((found, base), rows, strict=True))
        drawn.append(_reached(ours, theirs))
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    ratio = _reached(found, base)
    return {
        name: float(value) if np.isfinite(value) else None
        for name, value in (("ratio", ratio), ("low", low), ("high", high))
    }


def _reached(found: np.ndarray, base: np.ndarray) -> float:
    above = np.flatnonzero(found.mean(axis=0) >= base[:, -1].mean())
    return float(GRID[above[0]]) if len(above) else float("inf")


def table(found: Mapping[str, Any]) -> Table:
    """A row for each search."""
    made = Table(box=None, header_style="bold")
    made.add_column("hypervolume after")
    for share in SHARES:
        made.add_column(f"{share:.0%}", justify="right")
    made.add_column("trials", justify="right")
    made.add_column("compute to tpe's end", justify="right")
    for name, figures in found["hypervolume"].items():
        ratio = found["compute_ratio_to_tpe"][name]
        cells = [f"{each['mean']:.3f}" for each in figures.values()]
        made.add_row(name, *cells, f"{found['trials'][name]:.0f}", ratio_words(ratio))
    return made


def ratio_words(ratio: Mapping[str, float | None]) -> str:
    """A ratio with its interval."""
    value, low, high = (ratio[name] for name in ("ratio", "low", "high"))
    if value is None:
        return "never"
    return f"{value:.2f} ({low or 0:.2f}–{'never' if high is None else f'{high:.2f}'})"
