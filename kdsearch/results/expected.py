"""What n of a study's trials reach, by expectation and with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_TRIALS = 3
"""Complete trials that a method, or a way, needs to be scored."""

DRAWS = 2000
"""Bootstrap samples of each."""

ENDS = ("", "_low", "_high")
"""What stands after the name of a mean and of the ends of its interval."""


@dataclass(frozen=True)
class Figure:
    """What n trials of one kind reach.

    Attributes:
        mean: The expectation.
        draws: [DRAWS] of n draws with replacement.
        most: The largest that it can be.
        least: The smallest.
    """

    mean: float
    draws: np.ndarray
    most: float = 1.0
    least: float = 0.0

    def ends(self) -> tuple[float, float, float]:
        """The mean, and the 95 % interval of the draws about it instead of their own mean."""
        moved = np.quantile(self.draws, [0.025, 0.975]) - self.draws.mean() + self.mean
        low, high = np.clip(moved, self.least, self.most)
        # draws that are alike but for a few rare ones leave their own mean outside
        return self.mean, float(min(low, self.mean)), float(max(high, self.mean))


def draws(count: int, budget: int, seed: int) -> np.ndarray:
    """[DRAWS, budget] places among so many trials, drawn with replacement."""
    return np.random.default_rng(seed).integers(count, size=(DRAWS, budget))


def best_of_draws(heights: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """[DRAWS, N] best height among the first k trials, of those that were drawn; 0 for none."""
    drawn = np.zeros((len(chosen), len(heights)))
    np.put_along_axis(drawn, chosen, heights[chosen], axis=1)
    return np.maximum.accumulate(drawn, axis=1)


def expected_best(scores: np.ndarray, budget: int) -> np.ndarray:
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
