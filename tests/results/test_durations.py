"""Lengths of time."""

from __future__ import annotations

import pytest

from kdsearch.results.durations import duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, told: str) -> None:
    assert duration(seconds) == told
