"""An axis of scores: as they are, or logarithmic in their distance from the best that can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kdsearch.problems import Metric

CROWDED = 8.0
"""How many times farther the worst score is from the best than the nearest, from where on they
crowd together on a plain axis."""


@dataclass(frozen=True)
class ScoreAxis:
    """Where scores stand, in percent for a share.

    Attributes:
        metric: What the scores are.
        least: The distance at which a score without any stands; ``None`` for a plain axis.
    """

    metric: Metric
    least: float | None = None

    @classmethod
    def of(cls, metric: Metric, scores: Sequence[float]) -> ScoreAxis:
        """The axis that shows these scores best."""
        losses = [metric.loss(score) for score in scores if math.isfinite(score)]
        positive = [loss for loss in losses if loss > 0]
        apart = bool(positive) and min(losses) >= 0
        if apart and max(positive) > CROWDED * min(positive):
            return cls(metric, metric.scale * min(positive) / 2)
        return cls(metric)

    def place(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """Where scores [N] stand."""
        values = np.asarray(scores, dtype=float)
        if self.least is None:
            return self.metric.scale * values
        losses = np.array([self.metric.loss(value) for value in values], dtype=float)
        return np.maximum(self.metric.scale * losses, self.least)

    def bars(self, scores: Sequence[float], half_widths: Sequence[float]) -> np.ndarray:
        """[2, N] lengths of intervals, to smaller and to larger places; 0 where there is none."""
        values, half = np.asarray(scores, dtype=float), np.nan_to_num(half_widths)
        ends = np.stack([self.place(values - half), self.place(values + half)])
        middle = self.place(values)
        return np.stack([middle - ends.min(axis=0), ends.max(axis=0) - middle])

    def dress(self, axes: Axes, low: float, high: float) -> None:
        """Give the vertical axis its ends (scores), ticks and title."""
        unit = f" ({self.metric.unit})" if self.metric.unit else ""
        scale = "" if self.least is None else f", log scale of the {self.metric.loss_title}"
        axes.set_ylabel(f"{self.metric.title}{unit}{scale}")
        first, last = sorted(self.place([low, high]))
        if self.least is None:
            axes.set_ylim(first, last)
            return
        first, last = first / 1.15, last * 1.08  # room for the marks at both ends
        axes.set_yscale("log")
        axes.set_ylim(last, first)  # the best is at the top
        axes.yaxis.set_major_locator(FixedLocator(ticks(first, last)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda place, _: self._score(place)))

    def _score(self, place: float) -> str:
        """The score that stands at a place of the logarithmic axis."""
        digits = min(6, len(f"{place:.6g}".partition(".")[2]))
        score = self.metric.from_loss(place / self.metric.scale)
        return f"{self.metric.scale * score:.{digits}f}"


def ticks(low: float, high: float) -> list[float]:
    """Ticks 1, 2 and 5 of every decade between two positive ends; fewer where those are many.

    Between ends so near that fewer than three of these lie there, they are equally far apart.
    """
    decades = math.log10(high / low)
    steps = (1,) if decades > 4 else (1, 3) if decades > 2.6 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in steps]
    within = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
    return within if len(within) > 2 else _near_ticks(low, high)


def _near_ticks(low: float, high: float) -> list[float]:
    """Three ticks or more at multiples of 1, 2 or 5 of a decade."""
    unit = 10.0 ** math.floor(math.log10(high - low))
    for share in (5, 2, 1, 0.5, 0.2):
        step = share * unit
        first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
        if last - first >= 2:
            break
    return [place * step for place in range(first, last + 1)]


def shown_range(
    metric: Metric, trials: Sequence[float], others: Sequence[float]
) -> tuple[float, float]:
    """The ends of an axis that shows the better nine tenths of the trials and all others."""
    losses = np.array([metric.loss(score) for score in trials])
    kept = np.asarray(trials)[losses <= np.quantile(losses, 0.9, method="lower")]
    values = [*kept.tolist(), *(score for score in others if math.isfinite(score))]
    low, high = min(values), max(values)
    room = max((high - low) * 0.06, 1e-6)
    least, most = metric.limits
    return max(least, low - room), min(most + room / 3, high + room)
