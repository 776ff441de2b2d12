"""Figures of trainings that are tuned on validation, then repeated with several seeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PERCENT = 100


def best_of(runs: Iterable[dict[str, Any]], by: str) -> dict[str, dict[str, Any]]:
    """Of each kind, the training that is best on validation; the first among equals.

    Args:
        runs: The trainings.
        by: The key of their kind.
    """
    best: dict[str, dict[str, Any]] = {}
    for run in runs:
        known = best.get(run[by])
        if known is None or run["validation"] > known["validation"]:
            best[run[by]] = run
    return best


def told(row: dict[str, Any], name: str, sign: str = "") -> str:
    """A figure in percent with its interval."""
    return f"{PERCENT * row[name]:{sign}.2f} ± {PERCENT * row[f'{name}_ci']:.2f}"
