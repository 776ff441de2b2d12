"""What is predicted and how it is judged: tasks, and metrics by name."""

from kdsearch.problems.catalogue import find_metric
from kdsearch.problems.head import Head, Kind
from kdsearch.problems.metric import Metric, Predictions
from kdsearch.problems.problem import CLASSIFICATION, Problem
from kdsearch.problems.scoring import error_name

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
