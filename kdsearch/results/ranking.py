"""The methods of a study compared at one tuning budget, with intervals.

A sampler spreads its trials unevenly: a method with many has had more chances of a lucky one. So
each method is asked what n of its trials reach, n being the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kdsearch.data import derive
from kdsearch.methods import UNDISTILLED
from kdsearch.results.record import TrialRecord

if TYPE_CHECKING:
    from kdsearch.results.study import Study

MIN_TRIALS = 3
"""Complete trials that a method needs to be scored."""

DRAWS = 2000
"""Bootstrap samples of each method."""

COLUMNS = (
    "method",
    "trials",
    "budget",
    "hypervolume",
    "hypervolume_low",
    "hypervolume_high",
    "best_accuracy",
    "best_accuracy_low",
    "best_accuracy_high",
    "gain",
    "gain_low",
    "gain_high",
    "clear",
)


def study_ranking(study: Study) -> pd.DataFrame:
    """:func:`method_ranking` of a study's search, relative to its teacher's size."""
    records = study.records()
    largest = study.largest[0] if records else 1  # without a trial there may be no teacher yet
    return method_ranking(records, study.size, largest, study.spec.study.seed)


def method_ranking(
    records: Sequence[TrialRecord], size: str, reference_size: float, seed: int
) -> pd.DataFrame:
    """What n trials of each method reach on validation, best first; one row a method label.

    The budget n is the smallest number of complete trials that a method has, of those with at
    least :data:`MIN_TRIALS`. The hypervolume (see :func:`~kdsearch.results.front.hypervolume`) and
    the best accuracy are expectations over n of the method's trials drawn without replacement,
    which is without bias however many trials there are (Tang et al. 2020, "Showing Your Work
    Doesn't Always Work"). At n trials out of n that has no spread, so the interval is that of n
    draws with replacement, the 2.5 and 97.5 % quantiles of :data:`DRAWS` of them, moved to the
    expectation and always around it. ``gain`` is the hypervolume beyond the undistilled
    baseline's, and ``clear`` tells that its interval leaves out 0.

    What this is not: the trials were chosen by a sampler that learns, so the trials of a method
    that it liked are placed better than chance, and one of few trials kept its early ones. The
    intervals cover the spread of trials, not of training seeds, and of few trials a bootstrap
    makes them too narrow: between two equal methods of 3 to 10 random trials each, simulated, the
    gain's interval left out 0 in 12 to 19 % of the studies. No correction is made for the number
    of methods. Failed trials count for nothing, neither as a score nor as budget; nor do those that
    a scheduler stopped, so that under one the figures are those of each method's survivors.

    Args:
        records: The trials of the search.
        size: The name of a size.
        reference_size: The teacher's size, the reference of the hypervolume.
        seed: The study's seed, from which the draws are made.

    Returns:
        The columns of :data:`COLUMNS`; scores are shares in [0, 1]. Methods with fewer complete
        trials come last, without scores.
    """
    complete = _complete_trials(records)
    enough = {label: own for label, own in complete.items() if len(own) >= MIN_TRIALS}
    budget = min((len(own) for own in enough.values()), default=0)
    reached = {
        label: _reached(own, size, reference_size, budget, derive(seed, "ranking", label))
        for label, own in enough.items()
    }
    base = reached.get(UNDISTILLED)
    rows = [
        {"method": label, "trials": len(own), "budget": budget}
        | _scores(reached.get(label), None if label == UNDISTILLED else base)
        for label, own in complete.items()
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(
        ["hypervolume", "method"], ascending=[False, True], na_position="last", ignore_index=True
    )


@dataclass(frozen=True)
class _Reached:
    """Hypervolume and best accuracy, in this order, of n trials of one method.

    Attributes:
        mean: [2] expectations.
        draws: [DRAWS, 2] of n draws with replacement.
    """

    mean: np.ndarray
    draws: np.ndarray

    def interval(self) -> np.ndarray:
        """[2, 2] lower and upper ends."""
        return np.clip(np.stack(_moved(self.draws, self.mean)), 0.0, 1.0)


def _complete_trials(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """The complete trials of each method, of one that has none too."""
    found: dict[str, list[TrialRecord]] = {}
    for record in records:
        own = found.setdefault(record.task.method.label, [])
        if record.accuracy is not None:
            own.append(record)
    return found


def _reached(
    trials: Sequence[TrialRecord], size: str, largest: float, budget: int, seed: int
) -> _Reached:
    accuracies, steps = _staircase(trials, size, largest)
    expected = _expected_best(accuracies, budget)
    best = _drawn_best(accuracies, budget, seed)
    return _Reached(
        mean=np.array([expected @ steps, expected[-1]]),
        draws=np.stack([best @ steps, best[:, -1]], axis=1),
    )


def _staircase(
    trials: Sequence[TrialRecord], size: str, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies [N], small trials first, and the widths [N] of the steps below a front of theirs.

    The k-th step runs from the k-th relative log size to the next, the last one to 1. With b_k the
    best accuracy among the first k trials, the hypervolume is Σ b_k · step_k.
    """
    ordered = sorted(trials, key=lambda record: record.size(size))
    accuracies = np.array([record.accuracy for record in ordered], dtype=float)
    sizes = np.array([record.size(size) for record in ordered], dtype=float)
    places = np.log(sizes) / np.log(largest) if largest > 1 else np.ones(len(sizes))
    return accuracies, np.diff(np.minimum(places, 1.0), append=1.0)


def _expected_best(accuracies: np.ndarray, budget: int) -> np.ndarray:
    """[N] expected best accuracy among the first k of N trials, ``budget`` of which are drawn.

    Drawn without replacement; none drawn counts as 0. The i-th best of the first k is the best that
    was drawn if the i − 1 better ones are absent and it is not, and i given trials are absent with
    probability C(N − i, n) / C(N, n).
    """
    count = len(accuracies)
    left = count - np.arange(count)
    absent = np.cumprod(np.append(1.0, np.maximum(left - budget, 0) / left))
    first = absent[:-1] - absent[1:]
    return np.array(
        [np.sort(accuracies[:k])[::-1] @ first[:k] for k in range(1, count + 1)], dtype=float
    )


def _drawn_best(accuracies: np.ndarray, budget: int, seed: int) -> np.ndarray:
    """[DRAWS, N] best accuracy among the first k trials, ``budget`` drawn with replacement."""
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(accuracies), size=(DRAWS, budget))
    drawn = np.zeros((DRAWS, len(accuracies)))
    np.put_along_axis(drawn, chosen, accuracies[chosen], axis=1)
    return np.maximum.accumulate(drawn, axis=1)


def _moved(draws: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the 95 % interval of the draws, about another mean than their own."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0) - draws.mean(axis=0) + mean
    # draws that are alike but for a few rare ones leave their own mean outside
    return np.minimum(low, mean), np.maximum(high, mean)


def _scores(own: _Reached | None, base: _Reached | None) -> dict[str, Any]:
    """The scores of a row; not a number where there is none, or nothing to compare with."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS[3:-1], float("nan")) | {"clear": False}
    if own is None:
        return row
    low, high = own.interval()
    for place, name in enumerate(("hypervolume", "best_accuracy")):
        row |= {name: own.mean[place], f"{name}_low": low[place], f"{name}_high": high[place]}
    if base is not None:
        gain = own.mean[0] - base.mean[0]
        low, high = _moved(own.draws[:, 0] - base.draws[:, 0], gain)
        row |= {"gain": gain, "gain_low": low, "gain_high": high, "clear": low > 0 or high < 0}
    return {name: value if name == "clear" else float(value) for name, value in row.items()}
