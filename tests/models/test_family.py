"""The width rule that all families share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.errors import ModelError
from kdsearch.models.family import scaled
from kdsearch.spec.concrete import ModelConfig


@pytest.mark.parametrize(
    ("width", "counts"),
    [(1, (16, 24)), (0.5, (8, 12)), (0.4, (6, 10)), (2.25, (36, 54)), (0.03125, (1, 1))],
)
def test_counts_are_rounded_half_up(width: float, counts: tuple[int, int]) -> None:
    assert scaled(ModelConfig(family="resnet", width=width), (16, 24)) == counts


@given(st.floats(0.05, 8), st.floats(0.05, 8), st.integers(10, 500))
def test_counts_never_fall_as_the_width_grows(one: float, other: float, base: int) -> None:
    low, high = sorted((one, other))
    narrow = scaled(ModelConfig(family="x", width=low), [base])
    wide = scaled(ModelConfig(family="x", width=high), [base])
    assert narrow <= wide
    assert abs(narrow[0] - base * low) <= 0.5 + 1e-9


def test_the_thinnest_layer_decides_the_smallest_width() -> None:
    with pytest.raises(ModelError, match=r"^x at width 0.01 .*smallest width that works is 0.05$"):
        scaled(ModelConfig(family="x", width=0.01), (10, 100))
