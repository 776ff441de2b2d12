"""One score by a metric, and what may be asked of it."""

from __future__ import annotations

import math

from kdsearch.errors import DataError, SpecError, described
from kdsearch.problems.metric import Metric, Predictions
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec


def error_name(metric: str) -> str:
    """Under what name a record has the standard error of a metric."""
    return f"{metric}_error"


def score_of(name: str, metric: Metric, predictions: Predictions, few: bool) -> float:
    """The score of some predictions; of ``few``, NaN where they have none.

    Raises:
        DataError: It is no number.
        SpecError: A metric of the user's own fails.
    """
    if few and not len(predictions.targets):
        return math.nan
    try:
        value = float(metric(predictions))
    except Exception as error:
        raise SpecError(f"the metric {name} failed with {described(error)}; fix it") from error
    if not (math.isfinite(value) or few):
        remedy = "give every class samples in each split"
        if metric.kind != "class":
            remedy = "give each split samples that differ"
        raise DataError(
            f"the metric {name} is {value} on these {len(predictions.targets)} samples; choose "
            f"another, or {remedy}"
        )
    return value


def check_bound(spec: StudySpec, path: KeyPath, metric: Metric, bound: float) -> None:
    """Refuse a bound that every value, or none, keeps."""
    low, high = metric.limits
    if not low < bound < high:
        told = f"{metric.title} lies between {low:g} and {high:g}, not at {bound:g}"
        raise spec.refuse(path, told)
