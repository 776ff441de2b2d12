"""The student to ship: one of the finalists, chosen on validation.

All of this works on the content of ``front.json``, as
:func:`kdsearch.results.front_file.front_content` makes it, and needs neither PyTorch nor pandas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsearch.errors import RunError, UserError
from kdsearch.results.limits import RETAINED, Limits, told

Row = Mapping[str, Any]
"""A finalist: a row of the front's table; what is not known is ``None``."""


@dataclass(frozen=True)
class Pick:
    """The student to ship, and those beside it.

    Attributes:
        row: The finalist.
        best: The finalist with the best mean validation score of those that keep the limits.
        cheaper: The next smaller finalist, if any.
        better: The smallest finalist of a better mean validation score, if any.
        fitting: How many finalists keep the limits.
        judged: How many there are.
    """

    row: Row
    best: Row
    cheaper: Row | None
    better: Row | None
    fitting: int
    judged: int


def pick(content: Mapping[str, Any], limits: Limits | None = None) -> Pick:
    """The smallest finalist within one standard error of the best, of those that keep the limits.

    Scores are means over a finalist's seeds on validation, so that the test has no say (the rule of
    one standard error: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3).
    The error is that of the best one's mean, of its seeds and of the validation samples.

    Args:
        content: That of ``front.json``.
        limits: What the student has to keep.

    Raises:
        UserError: A limit names what the study does not know.
        RunError: No finalist is judged yet, or none keeps the limits.
    """
    limits = limits or Limits()
    check_limits(content, limits)
    size = content["sizes"][0]
    judged = [row for row in content["front"] if _score(content, row) is not None]
    if not judged:
        raise RunError(
            f"no finalist of {content['study']} is judged yet; kdsearch run SPEC --resume goes on"
        )
    fitting = [row for row in judged if not lacks(row, limits)]
    if not fitting:
        raise RunError(_nobody(content, judged, limits))
    best = min(fitting, key=lambda row: (_loss(content, row), row[size]))
    error = best["mean_validation_error"] or 0.0
    near = [row for row in fitting if _loss(content, row) <= _loss(content, best) + error]
    chosen = min(near, key=lambda row: (row[size], _loss(content, row)))
    smaller = [row for row in judged if row[size] < chosen[size]]
    above = [row for row in judged if _loss(content, row) < _loss(content, chosen)]
    return Pick(
        chosen,
        best,
        max(smaller, key=lambda row: row[size], default=None),
        min(above, key=lambda row: row[size], default=None),
        len(fitting),
        len(judged),
    )


def check_limits(content: Mapping[str, Any], limits: Limits) -> None:
    """Refuse limits of what the study does not know.

    Raises:
        UserError: A name is unknown, or no finalist has such a value.
    """
    rows: Sequence[Row] = content["front"]
    known = sorted({*content["size_names"], *content["metrics"], RETAINED})
    for name in (*limits.most, *limits.least):
        if name not in known:
            from kdsearch.spec.names import suggest  # and with it pydantic: for a mistake alone

            raise UserError(f"{name}: no size or metric of this study; {suggest(name, known)}")
        if rows and all(row.get(_column(name, row)) is None for row in rows):
            raise UserError(
                f"{name} is not known of any finalist of {content['study']}; weigh it there by "
                "search.size or search.metrics, or leave this limit out"
            )


def lacks(row: Row, limits: Limits) -> dict[str, float]:
    """By how much a finalist misses each limit that it does not keep, as a share of the limit."""
    missed = {}
    for sign, bounds in ((1, limits.most), (-1, limits.least)):
        for name, bound in bounds.items():
            value = row.get(_column(name, row))
            over = math.inf if value is None else sign * (value - bound)
            if over > 0:
                missed[name] = over / abs(bound) if bound else over
    return missed


def _column(name: str, row: Row) -> str:
    """Where a finalist has what a limit names: its mean over seeds on validation, or a size."""
    if name == RETAINED:
        return "retained_validation"
    mean = f"mean_validation_{name}"
    return mean if mean in row else name


def _nobody(content: Mapping[str, Any], judged: Sequence[Row], limits: Limits) -> str:
    """That no finalist keeps the limits, with the nearest and what it misses by."""
    nearest = min(judged, key=lambda row: sum(lacks(row, limits).values()))
    parts = []
    for name in lacks(nearest, limits):
        bound = limits.most.get(name, limits.least.get(name))
        value = nearest.get(_column(name, nearest))
        side = "at most" if name in limits.most else "at least"
        has = "unknown" if value is None else told(content, name, value)
        assert bound is not None
        parts.append(f"{name} {has}, wanted {side} {told(content, name, bound)}")
    return (
        f"no finalist of {content['study']} keeps the limits; the nearest is trial "
        f"{nearest['trial']}: {'; '.join(parts)}"
    )


def _score(content: Mapping[str, Any], row: Row) -> float | None:
    score: float | None = row.get(f"mean_validation_{content['objective']}")
    return score


def _loss(content: Mapping[str, Any], row: Row) -> float:
    """The mean validation score, to be made small."""
    score = _score(content, row)
    assert score is not None
    return -score if content["metrics"][content["objective"]]["better"] == "higher" else score
