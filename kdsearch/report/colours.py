"""Colours of the methods, the same in figures and in MLflow."""

from __future__ import annotations

from collections.abc import Collection

from kdsearch.methods import UNDISTILLED

COLOURS = (
    "#0077bb",
    "#e69f00",
    "#cc3311",
    "#33bbee",
    "#5aae61",
    "#cc79a7",
    "#ee7733",
    "#1b7837",
    "#9970ab",
    "#ee8866",
    "#ee99aa",
    "#6699cc",
)
"""Colours of Paul Tol's and of Okabe and Ito's schemes, each the farthest from those before it.

The distance (CIE 1976 L*a*b*) is the least to any of those, to the grey of the baseline and to the
near-black of lines, as seen without and with protanopia, deuteranopia or tritanopia (simulated
after Machado, Oliveira & Fernandes 2009, "A Physiologically-based Model for Simulation of Color
Vision Deficiency"). The first seven are 15 apart, all twelve 10; shapes tell methods apart too.
"""

BASELINE_COLOUR = "#666666"
"""Grey: the undistilled baseline's."""


def method_colour(label: str, labels: Collection[str]) -> str:
    """The colour of one of a study's methods."""
    distilled = sorted(set(labels) - {UNDISTILLED})
    return COLOURS[distilled.index(label) % len(COLOURS)] if label in distilled else BASELINE_COLOUR
