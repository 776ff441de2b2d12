"""Where scores stand on an axis."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure

from kdsearch.problems import find_metric
from kdsearch.report.score_axis import ScoreAxis, shown_range, ticks
from kdsearch.report.style import SIZE_NAMES
from kdsearch.spec.searching import SizeName

ACCURACY, NLL, R2 = (find_metric(name) for name in ("accuracy", "nll", "r2"))


def test_scores_that_lie_apart_stand_as_they_are() -> None:
    axis = ScoreAxis.of(ACCURACY, [0.5, 0.9])
    assert axis.least is None
    assert axis.place([0.5, 0.9]).tolist() == [50, 90]
    assert axis.bars([0.9], [0.05]) == pytest.approx(np.array([[5], [5]]))


def test_scores_near_the_best_stand_by_their_error() -> None:
    axis = ScoreAxis.of(ACCURACY, [0.9, 0.99, 1.0])
    assert axis.place([0.9, 0.99]).tolist() == pytest.approx([10, 1])
    # without any error, half as far from the best as the nearest
    assert axis.place([1.0]).tolist() == pytest.approx([0.5])
    smaller, larger = axis.bars([0.99], [0.02])
    assert larger.tolist() == pytest.approx([2])  # from an error of 1 to one of 3 %
    assert smaller.tolist() == pytest.approx([0.5])  # to the least that is drawn
    assert axis.bars([0.99], [float("nan")]) == pytest.approx(np.zeros((2, 1)))


@pytest.mark.parametrize(("metric", "scores"), [(NLL, [0.02, 2.0]), (R2, [0.999, 0.5])])
def test_other_metrics_stand_by_their_distance_from_the_best(
    metric: object, scores: list[float]
) -> None:
    axis = ScoreAxis.of(metric, scores)  # type: ignore[arg-type]
    assert axis.least is not None
    axes = Figure().add_subplot()
    axis.dress(axes, *sorted(scores))
    bottom, top = axes.get_ylim()
    assert bottom > top > 0, "the best is at the top"
    drawn = axes.yaxis.get_major_formatter()
    told = [float(drawn(place)) for place in axes.get_yticks()]
    assert axis.place(told).tolist() == pytest.approx(list(axes.get_yticks()))


def test_ticks_are_few_and_round() -> None:
    assert ticks(0.8, 30) == pytest.approx([1, 2, 5, 10, 20])
    assert ticks(100, 100_000) == pytest.approx([100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])
    assert len(ticks(1, 1e9)) == 10


@pytest.mark.parametrize("low", [1e-4, 0.3, 2552.0, 9.7e6])
@pytest.mark.parametrize("ratio", [1.001, 1.02, 1.5625, 2.2, 4.0])
def test_between_near_ends_there_are_ticks_too(low: float, ratio: float) -> None:
    found = ticks(low, low * ratio)
    assert 3 <= len(found) <= 12
    assert low * 0.999 <= found[0] < found[-1] <= low * ratio * 1.001
    assert len({f"{tick:.6g}" for tick in found}) == len(found)


def test_near_ticks_are_told_by_different_scores() -> None:
    axis = ScoreAxis(ACCURACY, 1.0)
    axes = Figure().add_subplot()
    axis.dress(axes, 0.70, 0.72)
    told = [axes.yaxis.get_major_formatter()(place) for place in axes.get_yticks()]
    assert told == [f"{100 - place:.1f}".removesuffix(".0") for place in axes.get_yticks()]
    assert len(set(told)) == len(told) >= 3
    bottom, top = axes.get_ylim()
    assert bottom > 30, "a mark at either end is whole"
    assert top < 28


def test_an_axis_leaves_out_the_worst_tenth_alone() -> None:
    trials = [0.1, *(0.80 + 0.01 * place for place in range(19))]
    low, high = shown_range(ACCURACY, trials, [0.75, float("nan")])
    assert 0.7 < low < 0.75
    assert 0.98 < high <= 1.01


def test_every_size_of_a_search_has_a_name() -> None:
    assert set(SIZE_NAMES) == set(get_args(SizeName))
