"""The nearest valid name."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.spec.names import LISTED, NEAREST, suggest

VALID = ["temperature", "weight", "ce_weight", "low", "high"]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("temprature", "temperature"), ("wieght", "weight"), ("hgih", "high"), ("LOW", "low")],
)
def test_a_near_miss_names_what_was_meant(wrong: str, near: str) -> None:
    assert suggest(wrong, VALID) == f"did you mean '{near}'?"


def test_the_name_is_given_as_it_is_written() -> None:
    assert suggest("max_PARAMETERS", ["Max_parameters"]) == "did you mean 'Max_parameters'?"


@given(st.sampled_from(VALID), st.data())
def test_one_letter_less_is_always_near_for_longer_names(name: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(name) - 1))
    assert suggest(name[:cut] + name[cut + 1 :], [name]) == f"did you mean '{name}'?"


def test_far_from_all_the_valid_names_are_listed() -> None:
    assert suggest("qqq", VALID) == "valid: ce_weight, high, low, temperature, weight"


def test_a_long_list_is_cut_to_the_nearest() -> None:
    names = [a + b for a in string.ascii_lowercase[:6] for b in "xyzuvw"]
    assert len(names) > LISTED
    told = suggest("a-------", names)
    listed = told.partition(": ")[2].split(", ")
    assert told.startswith(f"the nearest of {len(names)} valid names: ")
    assert len(listed) == NEAREST
    assert {name for name in names if name.startswith("a")} <= set(listed)


def test_where_nothing_is_valid_it_says_so() -> None:
    assert suggest("x", []) == "nothing is valid here, remove it"
