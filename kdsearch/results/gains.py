"""Where distillation helps, told from the finalists' gains over their baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_UNITS = {"latency": "µs", "int8_latency": "µs in int8", "macs": "MACs"}

Row = Mapping[str, Any]


def gain_note(content: Mapping[str, Any]) -> str:
    """Where distillation helps and where not, by the gains' intervals; empty without any.

    Args:
        content: That of ``front.json``.
    """
    size = content["sizes"][0]
    sides: dict[str, list[Row]] = {"helps": [], "costs": [], "is undecided": []}
    for row in content["front"]:
        if row["gain"] is not None:
            sides[_side(row)].append(row)
    count = sum(map(len, sides.values()))
    parts = [
        f"{verb} at {len(rows)} of {count} finalists ({_span(rows, size)})"
        for verb, rows in sides.items()
        if rows
    ]
    return f"distillation {', '.join(parts)}" if parts else ""


def sized(value: float, name: str) -> str:
    """A size in words: ``12,345 parameters``, ``180 µs``."""
    return f"{value:,.0f} {_UNITS.get(name, name.replace('_', ' '))}"


def _side(row: Row) -> str:
    gain, half_width = row["gain"], row["gain_ci"]
    if half_width is None or abs(gain) <= half_width:
        return "is undecided"
    return "helps" if gain > 0 else "costs"


def _span(rows: Sequence[Row], size: str) -> str:
    low, high = min(row[size] for row in rows), max(row[size] for row in rows)
    return sized(high, size) if low == high else f"{low:,.0f} to {sized(high, size)}"
