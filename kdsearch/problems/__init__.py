"""What is predicted and how it is judged: tasks, and metrics by name.

The names below are imported when they are first used, since they need PyTorch, and tables do not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsearch.problems.catalogue import find_metric
    from kdsearch.problems.head import Head, Kind
    from kdsearch.problems.metric import Metric, Predictions
    from kdsearch.problems.problem import CLASSIFICATION, Problem
    from kdsearch.problems.scoring import error_name

_HOMES = {
    "CLASSIFICATION": "problem",
    "Head": "head",
    "Kind": "head",
    "Metric": "metric",
    "Predictions": "metric",
    "Problem": "problem",
    "error_name": "scoring",
    "find_metric": "catalogue",
}

__all__ = [
    "CLASSIFICATION",
    "Head",
    "Kind",
    "Metric",
    "Predictions",
    "Problem",
    "error_name",
    "find_metric",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"kdsearch.problems.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kdsearch.problems' has no attribute '{name}'")
