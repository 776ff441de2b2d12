"""The share of the teacher's score that a student retains."""

from __future__ import annotations

import math

import pytest

from kdsearch.problems import find_metric
from kdsearch.results.compared import ComparedTeacher


def test_of_a_score_the_share_and_of_an_error_the_inverse_share() -> None:
    assert find_metric("accuracy").retained(0.9, 0.95) == pytest.approx(0.9 / 0.95)
    assert find_metric("accuracy").retained(0.96, 0.95) > 1
    assert find_metric("mae").retained(2.0, 1.5) == pytest.approx(0.75)
    assert find_metric("r2").retained(0.4, 0.8) == pytest.approx(0.5)


def test_where_a_ratio_says_nothing_there_is_none() -> None:
    assert math.isnan(find_metric("r2").retained(0.4, -0.1))
    assert math.isnan(find_metric("accuracy").retained(0.4, 0.0))
    assert math.isnan(find_metric("mae").retained(0.0, 1.0))


def test_what_the_teacher_was_not_scored_by_is_not_known() -> None:
    teacher = ComparedTeacher("teacher", {"parameters": 10}, test={"accuracy": 0.5})
    assert teacher.retained("accuracy", 0.25) == 0.5
    assert math.isnan(teacher.retained("accuracy", 0.25, "validation"))
    assert math.isnan(teacher.retained("nll", 0.25))
