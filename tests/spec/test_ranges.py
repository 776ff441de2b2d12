"""Ranges and choices: what is possible, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kdsearch.spec import Choices, Dimension, Range
from kdsearch.spec.ranges import every, extremes, holds, is_searched

parse = TypeAdapter(Dimension).validate_python
finite = st.floats(-1e6, 1e6)


def refused(value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        parse(value)
    return caught.value.errors()[0]["msg"]


@given(finite, finite)
def test_a_range_is_sound_exactly_when_its_ends_are_in_order(low: float, high: float) -> None:
    if low <= high:
        assert parse({"low": low, "high": high}).bounds() == (low, high)
    else:
        assert "is above high" in refused({"low": low, "high": high})


@given(finite, st.floats(0, 1e6))
def test_a_log_range_is_sound_exactly_when_it_lies_above_zero(low: float, width: float) -> None:
    value = {"low": low, "high": low + width, "log": True}
    if low > 0:
        assert parse(value).log
    else:
        assert "a log range needs low above 0" in refused(value)


hundredths = st.integers(-10_000, 10_000).map(lambda number: Decimal(number) / 100)


@given(
    hundredths, st.integers(1, 500).map(lambda n: Decimal(n) / 100), st.integers(0, 40), st.data()
)
def test_steps_must_meet_the_high_end(
    low: Decimal, step: Decimal, count: int, data: st.DataObject
) -> None:
    high = low + count * step
    value = {"low": float(low), "high": float(high), "step": float(step)}
    assert parse(value).bounds() == (float(low), float(high))

    beyond = data.draw(st.integers(1, 500)) * Decimal("0.01")
    assume(beyond < step)
    told = refused(value | {"high": float(high + beyond)})
    assert f"set high to {float(high):g}, or change step" in told


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"low": 1, "high": 2, "step": 0}, "step must be above 0, not 0"),
        ({"low": 1, "high": 2, "step": -1}, "step must be above 0, not -1"),
        ({"low": 1, "high": 2, "step": 1, "log": True}, "step and log cannot be used together"),
        ({"low": 1, "high": 2, "step": 3}, "set high to 1"),
        ({"low": float("nan"), "high": 2}, "finite"),
        ({"low": 1, "high": float("inf")}, "finite"),
        ({"low": True, "high": 2}, "number"),
        ({"low": "1", "high": 2}, "number"),
        ({"low": 1, "high": 2, "log": 1}, "boolean"),
        ({"choices": []}, "at least 1"),
        ({"choices": [1, 2, 1.0]}, "hold a value twice"),
        ({"choices": [1, float("nan")]}, "must be a finite number, not nan"),
        ({"choices": [True]}, "must be a number, not true"),
        ({"choices": ["a"]}, "must be a number, not 'a'"),
        ({"choices": [None]}, "must be a number; it is empty here"),
        ({"choices": [[1]]}, "must be a number, not a list"),
        (float("nan"), "must be a finite number, not nan"),
        (float("-inf"), "must be a finite number, not -inf"),
        ("wide", "must be a number, a range such as"),
        (True, "must be a number, a range such as"),
        (None, "must be a number, a range such as"),
        ([1, 2], "must be a number, a range such as"),
    ],
)
def test_what_is_impossible_is_refused(value: Any, words: str) -> None:
    assert words in refused(value)


def test_each_form_becomes_its_own_kind() -> None:
    assert parse(3) == 3
    assert isinstance(parse(3), int)
    assert isinstance(parse(3.0), float)
    assert isinstance(parse({"low": 1, "high": 2}), Range)
    assert isinstance(parse({"choices": [1, 2]}), Choices)
    assert parse(Range(low=1, high=2)) == Range(low=1, high=2)
    assert parse(Choices(choices=(1, 2))) == Choices(choices=(1, 2))


@given(st.lists(finite, min_size=1, max_size=6, unique=True))
def test_the_ends_of_choices_are_the_smallest_and_the_largest(values: list[float]) -> None:
    choices = Choices(choices=tuple(values))
    assert extremes(choices) == (sorted(values)[0], sorted(values)[-1])
    assert every(choices) == tuple(values)
    assert is_searched(choices) == (len(values) > 1)


def test_the_ends_of_a_value_and_of_a_range() -> None:
    assert extremes(4) == every(4) == (4, 4)
    assert extremes(Range(low=1, high=2)) == every(Range(low=1, high=2)) == (1, 2)
    assert is_searched(Range(low=1, high=2))
    assert not is_searched(Range(low=2, high=2))
    assert not is_searched(0.5)


@given(
    hundredths, st.integers(1, 500).map(lambda n: Decimal(n) / 100), st.integers(1, 40), st.data()
)
def test_a_stepped_range_holds_its_steps_alone(
    low: Decimal, step: Decimal, count: int, data: st.DataObject
) -> None:
    dimension = Range(low=float(low), high=float(low + count * step), step=float(step))
    place = data.draw(st.integers(-2, count + 2))
    assert holds(dimension, float(low + place * step)) == (0 <= place <= count)
    assert not holds(dimension, float(low + place * step + step / 3))
    assert holds(dimension.model_copy(update={"step": None}), float(low + step / 3))


def test_a_value_or_a_list_holds_what_it_names() -> None:
    assert holds(3, 3.0)
    assert not holds(3, 3.1)
    assert holds(Choices(choices=(2, 4)), 4.0)
    assert not holds(Choices(choices=(2, 4)), 3)
