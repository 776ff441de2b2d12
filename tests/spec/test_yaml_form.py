"""Plain words of YAML: which are numbers, which are text."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kdsearch.spec.yaml_form import SpecDumper, SpecLoader

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
"""What may stand in a file: NUL is refused when it is read."""


def read(text: str) -> Any:
    return yaml.load(text, Loader=SpecLoader)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("-2.5E+2", -250.0),
        ("1.e1", 10.0),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("3", 3),
        (".inf", math.inf),
        ("2024-01-01", "2024-01-01"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("'1e3'", "1e3"),
        ("yes", True),
        ("~", None),
        ("none", "none"),
    ],
)
def test_a_plain_word_is_what_it_looks_like(text: str, value: Any) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False))
def test_every_number_that_python_writes_is_read_as_that_number(number: float) -> None:
    text = repr(number).replace("inf", ".inf")
    assert read(text) == number
    assert isinstance(read(text), float)


@given(TEXT | st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
@example("1e5")
@example("+1.5e-3")
@example("2024-01-01")
@example("12:30")
@example("0o7")
def test_what_is_written_is_read_back_with_its_type(value: Any) -> None:
    found = read(yaml.dump([value], Dumper=SpecDumper, allow_unicode=True))[0]
    assert found == value
    assert type(found) is type(value)


def test_pyyaml_itself_is_left_as_it_is() -> None:
    assert yaml.safe_load("1e-3") == "1e-3"
    assert yaml.safe_load("2024-01-01").year == 2024
