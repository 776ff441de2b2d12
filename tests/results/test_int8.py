"""Finalists after quantization: intervals, losses and a front of their own, by hand."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from kdsearch.problems import find_metric
from kdsearch.results.finalists import Finalist
from kdsearch.results.int8 import int8_columns, int8_loss, int8_scores, loses_more, tolerated
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.training.quantized import Int8
from tests.records import TASK, trial


def run(seed: int, test: float, int8: float | None, size: int = 900) -> TrialRecord:
    made = Int8(failure="no such operator")
    if int8 is not None:
        made = Int8(
            onnx_bytes=4 * size, bytes=size, test={"accuracy": int8}, validation={"accuracy": int8}
        )
    task = TASK.model_copy(update={"seed": seed})
    update = {"task": task, "test": {"accuracy": test}, "int8": made}
    return trial(seed, 0.5, 10).model_copy(update=update)


def finalist(*runs: TrialRecord, number: int = 0) -> Finalist:
    return Finalist(trial(number, 0.5, 10), runs, runs)


def test_scores_and_losses_are_means_with_intervals_over_seeds() -> None:
    one = finalist(run(1, 0.90, 0.88), run(2, 0.92, 0.91), run(3, 0.91, 0.905))
    losses = [0.02, 0.01, 0.005]
    loss = int8_loss(one)
    assert loss.mean == pytest.approx(sum(losses) / 3)
    assert loss.half_width == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(losses))
    assert int8_scores(one.runs, "accuracy").mean == pytest.approx((0.88 + 0.91 + 0.905) / 3)
    (row,) = int8_columns([one])
    assert row["int8_loss"] == loss.mean
    assert (row["int8_bytes"], row["onnx_bytes"]) == (900, 3_600)
    assert row["int8_reason"] is None


def test_a_loss_counts_as_more_than_it_should_be_by_its_whole_interval() -> None:
    clear = finalist(run(1, 0.90, 0.87), run(2, 0.92, 0.89), run(3, 0.91, 0.879))
    unsure = finalist(run(1, 0.90, 0.87), run(2, 0.92, 0.92), run(3, 0.91, 0.91))
    little = finalist(run(1, 0.90, 0.896), run(2, 0.92, 0.916), run(3, 0.91, 0.906))
    assert [loses_more(each) for each in (clear, unsure, little)] == [True, False, False]
    assert loses_more(finalist(run(1, 0.9, 0.85)))  # one seed has no interval
    assert not loses_more(finalist(run(1, 0.9, None)))
    assert tolerated(find_metric("accuracy"), 0.9) == 0.005
    assert tolerated(find_metric("mae"), 4.0) == 0.02


def test_of_an_error_more_is_a_loss() -> None:
    made = Int8(onnx_bytes=1, bytes=1, test={"mae": 2.5}, validation={"mae": 2.5})
    record = run(1, 0.0, 0.0).model_copy(update={"test": {"mae": 2.0}, "int8": made})
    one = Finalist(trial(0, 0.5, 1), (record,), (), Objectives(score="mae"))
    assert int8_loss(one).mean == pytest.approx(0.5)


def test_the_front_is_marked_again_by_bytes_and_scores_after_quantization() -> None:
    small = finalist(run(1, 0.80, 0.80, 500), number=1)
    middle = finalist(run(1, 0.90, 0.70, 700), number=2)  # loses most, and its place
    large = finalist(run(1, 0.91, 0.90, 900), number=3)
    without = finalist(run(1, 0.95, None), number=4)
    marked = [row["int8_front"] for row in int8_columns([small, middle, large, without])]
    assert marked == [True, False, True, False]
    row = int8_columns([without])[0]
    assert math.isnan(row["int8_accuracy"])
    assert row["int8_reason"] == "no such operator"


def test_without_any_there_is_nothing() -> None:
    plain = trial(0, 0.5, 10).model_copy(update={"test": {"accuracy": 0.5}})
    (row,) = int8_columns([Finalist(trial(0, 0.5, 1), (plain,), ())])
    assert row["int8_bytes"] is None
    assert math.isnan(row["int8_loss"])
    assert not row["int8_front"]
