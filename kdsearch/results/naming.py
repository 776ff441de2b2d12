"""Networks in few words, the same wherever they are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.spec.ways import NO_WAY


def network_told(family: str, width: float, depth: float | None) -> str:
    """A network by its knobs: ``convnet-3 ×0.669``."""
    layers = "" if depth is None else f"-{int(depth)}"
    return f"{family}{layers} ×{width:.3g}"


def student_told(row: Mapping[str, Any]) -> str:
    """A student by its row of a table: ``convnet-3 ×0.669 @32 of scan``.

    With the side of its images where it has one of its own, and its inputs where they were
    searched.
    """
    of = f" of {row['inputs']}" if row.get("inputs") else ""
    size = row.get("side")
    side = "" if size is None or size != size else f" @{int(size)}"  # a table has NaN for none
    return f"{network_told(row['family'], row['width'], row.get('depth'))}{side}{of}"


def shown_way(row: Mapping[str, Any]) -> str:
    """The ways of a student by its row of a table; empty where it has none.

    A study of an earlier version had none.
    """
    label = str(row.get("way") or NO_WAY)
    return "" if label == NO_WAY else label


def way_values_told(row: Mapping[str, Any]) -> str:
    """The values of a student's ways: ``bits 4, after 0.5``."""
    return ", ".join(f"{name} {value:.3g}" for name, value in row.get("way_values", {}).items())


def way_told(row: Mapping[str, Any]) -> str:
    """A student's ways with their values: ``quantize (bits 4)``; empty where it has none."""
    label, values = shown_way(row), way_values_told(row)
    return f"{label} ({values})" if values else label


def small_student_told(row: Mapping[str, Any]) -> str:
    """A student with its ways: ``convnet-3 ×0.669 by quantize (bits 4)``."""
    way = way_told(row)
    return f"{student_told(row)} by {way}" if way else student_told(row)
