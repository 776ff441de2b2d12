"""What methods and sizes look like and are called, in every figure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kdsearch.methods import UNDISTILLED
from kdsearch.report.colours import BASELINE_COLOUR, method_colour
from kdsearch.results.study import Study

SIZE_NAMES = {
    "parameters": "parameters",
    "macs": "MACs of a sample",
    "bytes": "bytes of weights",
    "latency": "microseconds of a sample",
    "compressed_bytes": "bytes of compressed weights",
    "int8_bytes": "bytes of the int8 file",
    "int8_latency": "microseconds of a sample in int8",
}

MARKS = (
    ("circle", "o"),
    ("square", "s"),
    ("triangle-up", "^"),
    ("cross", "P"),
    ("triangle-down", "v"),
    ("pentagon", "p"),
    ("star", "*"),
)
"""Shapes that tell methods apart where a print has no colours: plotly's names and matplotlib's.

They are fewer than the colours and prime to them, so that no pair comes twice in 84 methods.
"""

BASELINE_MARK = ("x", "x")


@dataclass(frozen=True)
class Look:
    """How one method is drawn."""

    label: str
    colour: str
    symbol: str
    """Plotly's name of the shape."""
    marker: str
    """Matplotlib's."""


def looks_of(study: Study) -> list[Look]:
    """How each method of a study's spec is drawn, whichever of them have been tried."""
    known = study.directory.trials.read().values()
    return looks({*study.spec.methods, *(record.task.method.label for record in known)})


def looks(labels: Collection[str]) -> list[Look]:
    """How each of some methods is drawn, in the order of their names; the baseline last."""
    distilled = sorted(set(labels) - {UNDISTILLED})
    found = [
        Look(label, method_colour(label, distilled), *MARKS[place % len(MARKS)])
        for place, label in enumerate(distilled)
    ]
    baseline = Look(UNDISTILLED, BASELINE_COLOUR, *BASELINE_MARK)
    return [*found, *([baseline] if UNDISTILLED in labels else [])]
