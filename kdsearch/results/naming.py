"""Networks in few words, the same wherever they are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def network_told(family: str, width: float, depth: float | None) -> str:
    """A network by its knobs: ``convnet-3 ×0.669``."""
    layers = "" if depth is None else f"-{int(depth)}"
    return f"{family}{layers} ×{width:.3g}"


def student_told(row: Mapping[str, Any]) -> str:
    """A student by its row of a table, with its inputs where they were searched."""
    of = f" of {row['inputs']}" if row.get("inputs") else ""
    return f"{network_told(row['family'], row['width'], row.get('depth'))}{of}"
