"""The words for each kind of fault."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError

from kdsearch.spec.wording import _REASONS, explain, instead

LIMITS = {
    "greater_than": ({"gt": 3}, "must be above 3"),
    "greater_than_equal": ({"ge": 3}, "must be at least 3"),
    "less_than": ({"lt": 0.5}, "must be below 0.5"),
    "less_than_equal": ({"le": 3}, "must be at most 3"),
    "too_short": (
        {"field_type": "List", "min_length": 2, "actual_length": 1},
        "must have at least 2 entries",
    ),
    "string_too_short": ({"min_length": 1}, "must have at least 1 character"),
    "string_too_long": ({"max_length": 80}, "must have at most 80 characters"),
    "model_type": ({"class_name": "Range"}, "must be a section of keys and values"),
    "literal_error": ({"expected": "'a' or 'b'"}, "must be 'a' or 'b'"),
}


@pytest.mark.parametrize("kind", sorted(_REASONS.keys() - {"path_type"}))
def test_every_kind_is_one_that_pydantic_has_with_the_limits_that_it_gives(kind: str) -> None:
    context, words = LIMITS.get(kind, (None, "must be "))
    assert PydanticKnownError(kind, context).type == kind
    assert explain(kind, context or {}, "", None).startswith(words)


def test_a_path_is_a_kind_that_pydantic_words_itself() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Path).validate_python(3)
    assert caught.value.errors()[0]["type"] == "path_type"
    assert explain("path_type", {}, "", 3) == "must be a path, not 3"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "; it is empty here"),
        (True, ", not true"),
        (2.50, ", not 2.5"),
        (float("nan"), ", not nan"),
        (3, ", not 3"),
        ("many", ", not 'many'"),
        ([1], ", not a list"),
        ({"a": 1}, ", not a section of keys"),
        (datetime.date(2024, 1, 1), ", not a date"),
    ],
)
def test_what_stands_there_is_told_as_the_file_has_it(given: Any, told: str) -> None:
    assert instead(given) == told


def test_our_own_reason_is_passed_on_whole() -> None:
    assert explain("value_error", {}, "Value error, low is above high; swap", {}) == (
        "low is above high; swap"
    )


def test_a_fault_that_has_no_words_of_ours_keeps_pydantic_s() -> None:
    assert explain("url_type", {}, "URL input should be a string", 3) == (
        "uRL input should be a string, not 3"
    )


def test_one_of_several_words_comes_with_the_nearest() -> None:
    context = {"expected": "'sgd' or 'adamw'"}
    assert explain("literal_error", context, "", "adam") == (
        "must be 'sgd' or 'adamw', not 'adam'; did you mean 'adamw'?"
    )
    assert explain("literal_error", context, "", 3) == "must be 'sgd' or 'adamw', not 3"
