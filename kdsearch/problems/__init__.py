"""What is predicted and how it is judged: metrics by name."""

from kdsearch.problems.metric import Metric, Predictions
from kdsearch.problems.problem import CLASSIFICATION, Problem, error_name, find_metric

__all__ = ["CLASSIFICATION", "Metric", "Predictions", "Problem", "error_name", "find_metric"]
