"""Colours of the methods, the same in figures and in MLflow."""

from __future__ import annotations

from collections.abc import Collection

from kdsearch.methods import UNDISTILLED

COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#aa3377",
    "#ee7733",
    "#009988",
    "#882255",
    "#332288",
    "#66ccee",
    "#ccbb44",
    "#44aa99",
    "#999933",
)
"""Colours that stay apart under the common forms of colour blindness (Paul Tol's schemes)."""

BASELINE_COLOUR = "#777777"
"""Grey: the undistilled baseline's."""


def method_colour(label: str, labels: Collection[str]) -> str:
    """The colour of one of a study's methods."""
    distilled = sorted(set(labels) - {UNDISTILLED})
    return COLOURS[distilled.index(label) % len(COLOURS)] if label in distilled else BASELINE_COLOUR
