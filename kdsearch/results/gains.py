"""Where distillation helps, told from the finalists' gains over their baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdsearch.results.domains import alone, worth
from kdsearch.results.limits import told_size
from kdsearch.spec.teaching import UNDISTILLED

Row = Mapping[Any, Any]


def undistilled(row: Row) -> bool:
    """Whether nobody teaches a finalist, which then is its own baseline.

    Not so where it is cut from a wider network in its training, as its baseline is not. Earlier
    versions did not tell, and had no such finalists.
    """
    told = row.get("undistilled")
    return row["method"] == UNDISTILLED if told is None else bool(told)


def compared_with(row: Row, content: Mapping[str, Any]) -> str:
    """What the gain of a finalist is over, in the study of ``front.json``'s content."""
    label = row.get("baseline_method") or UNDISTILLED
    if label == UNDISTILLED and row.get("init") == "cut_from_teacher":
        return "the same student, cut from the same teacher and trained without it"
    if label == UNDISTILLED:
        return f"the same student {alone(content)}"
    return f"the same student by {label}, which needs no teacher"


def gain_note(content: Mapping[str, Any]) -> str:
    """Where distillation, or adaptation, helps and where not, by the intervals of the gains.

    Empty without any. A student that is pruned without a teacher gains by something else.

    Args:
        content: That of ``front.json``.
    """
    size = content["sizes"][0]
    sides: dict[str, list[Row]] = {"helps": [], "costs": [], "is undecided": []}
    for row in content["front"]:
        if row["gain"] is not None and row.get("method") != UNDISTILLED:
            sides[_side(row)].append(row)
    count = sum(map(len, sides.values()))
    parts = [
        f"{verb} at {len(rows)} of {count} finalists ({_span(rows, size)})"
        for verb, rows in sides.items()
        if rows
    ]
    return f"{worth(content)} {', '.join(parts)}" if parts else ""


def _side(row: Row) -> str:
    gain, half_width = row["gain"], row["gain_ci"]
    if half_width is None or abs(gain) <= half_width:
        return "is undecided"
    return "helps" if gain > 0 else "costs"


def _span(rows: Sequence[Row], size: str) -> str:
    low, high = min(row[size] for row in rows), max(row[size] for row in rows)
    if low == high:
        return told_size(size, high)
    (least, unit), most = told_size(size, low).split(" ", 1), told_size(size, high)
    return f"{least} to {most}" if most.endswith(f" {unit}") else f"{least} {unit} to {most}"
