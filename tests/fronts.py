"""Fronts of studies that are to be alike."""

from __future__ import annotations

import pandas as pd

TIMED = ["latency", "int8_latency", "peak_memory", "int8_peak_memory"]
"""Columns that are measured anew in every study, and so are never quite the same."""


def assert_fronts_alike(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Two fronts are the same to the last digit, but for what is measured by the clock."""
    pd.testing.assert_frame_equal(one.drop(columns=TIMED), other.drop(columns=TIMED))
