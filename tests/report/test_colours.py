"""Colours as people with a deficiency of colour vision see them."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from kdsearch.report.colours import BASELINE_COLOUR, COLOURS
from kdsearch.report.drawing import INK

# linear RGB as each sees it: table 1 of Machado, Oliveira & Fernandes 2009, severity 1
SEEN = {
    "all": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# IEC 61966-2-1, and its white
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """[3] CIE 1976 L*a*b* of a colour such as ``#0077bb``."""
    shares = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / WHITE
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: tuple[str, ...]) -> float:
    """The least distance between two of some colours, whoever sees them."""
    return min(
        float(np.linalg.norm(lab(one, seen) - lab(other, seen)))
        for seen in SEEN.values()
        for one, other in combinations(colours, 2)
    )


def test_colours_stay_apart_whoever_sees_them() -> None:
    # a difference of 2.3 is just noticeable side by side
    assert nearest((*COLOURS[:7], BASELINE_COLOUR, INK)) > 15
    assert nearest((*COLOURS, BASELINE_COLOUR, INK)) > 10


def test_the_grey_of_a_pair_that_protanopes_confuse_is_found() -> None:
    assert nearest(("#ee6677", "#777777")) < 8
    assert nearest(("#000000", "#ffffff")) > 99
