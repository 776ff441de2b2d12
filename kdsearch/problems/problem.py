"""What a study predicts, and by which metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from kdsearch.errors import DataError, SpecError, described
from kdsearch.plugins import is_reference, resolve
from kdsearch.problems import classification
from kdsearch.problems.metric import Metric, Predictions
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec

_KNOWN = {metric.name: metric for metric in classification.METRICS}


@cache
def find_metric(name: str) -> Metric:
    """The metric that a spec calls ``name``: one of kdsearch's, or ``module:name`` of the user's.

    Raises:
        SpecError: There is none, or what the user's module has is no :class:`Metric`.
    """
    if name in _KNOWN:
        return _KNOWN[name]
    if not is_reference(name):
        raise SpecError(
            f"unknown metric '{name}'; {suggest(name, _KNOWN)} (a metric of your own is written "
            "module:name)"
        )
    found = resolve(name, "metric", SpecError)
    if not isinstance(found, Metric):
        raise SpecError(f"{name} is no metric; make it a kdsearch.problems.Metric")
    return found


@dataclass(frozen=True)
class Problem:
    """Classification: one class a sample.

    Attributes:
        metrics: Names of the metrics that were chosen beside the usual ones.
        objective: Name of the metric that a search weighs against size.
    """

    metrics: tuple[str, ...] = ()
    objective: str = classification.USUAL[0]

    @classmethod
    def of(cls, spec: StudySpec) -> Problem:
        """That of a study, with every metric that the study asks for.

        Raises:
            SpecError: A metric is not known; the message gives its line.
        """
        asked: dict[KeyPath, str] = {
            ("problem", "metrics", number): name for number, name in enumerate(spec.problem.metrics)
        }
        asked["search", "objective"] = spec.search.objective
        asked |= {("search", "require", name): name for name in spec.search.require}
        for path, name in asked.items():
            try:
                metric = find_metric(name)
            except SpecError as error:
                raise spec.refuse(path, str(error)) from None
            bound = spec.search.require.get(name)
            if path[:2] == ("search", "require") and bound is not None:
                _check_bound(spec, path, metric, bound)
        return cls(tuple(dict.fromkeys(asked.values())), spec.search.objective)

    @property
    def main(self) -> Metric:
        """The metric that stands for all where there is room for one."""
        return find_metric(classification.USUAL[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The usual metrics and the chosen ones, each once."""
        return tuple(dict.fromkeys((*classification.USUAL, *self.metrics)))

    def scores(self, predictions: Predictions) -> dict[str, float]:
        """Every metric that can be had of the predictions, by name.

        Usual ones are left out where they are of no use, and those that compare with a teacher
        where there is none.

        Raises:
            DataError: A metric is no number on these samples.
            SpecError: A metric of the user's own fails.
        """
        return {name: _score(name, each, predictions) for name, each in self._of_use(predictions)}

    def error(self, predictions: Predictions) -> dict[str, float]:
        """The standard error of the objective over samples, under its name and ``_error``.

        Nothing where the score tells it itself, as a share does, or there is no score.
        """
        metric = find_metric(self.objective)
        if metric.error == "binomial" or (metric.compares and predictions.reference is None):
            return {}
        return {error_name(self.objective): metric.bootstrap(predictions)}

    def _of_use(self, predictions: Predictions) -> Iterable[tuple[str, Metric]]:
        for name in self.names:
            metric = find_metric(name)
            chosen = name in self.metrics or metric.applies(predictions.labels)
            if chosen and not (metric.compares and predictions.reference is None):
                yield name, metric


def error_name(metric: str) -> str:
    """Under what name a record has the standard error of a metric."""
    return f"{metric}_error"


def _score(name: str, metric: Metric, predictions: Predictions) -> float:
    try:
        value = float(metric(predictions))
    except Exception as error:
        raise SpecError(f"the metric {name} failed with {described(error)}; fix it") from error
    if not math.isfinite(value):
        raise DataError(
            f"the metric {name} is {value} on these {len(predictions.labels)} samples; choose "
            "another, or give every class samples in each split"
        )
    return value


def _check_bound(spec: StudySpec, path: KeyPath, metric: Metric, bound: float) -> None:
    """Refuse a bound that every value, or none, keeps."""
    low, high = metric.limits
    if not low < bound < high:
        told = f"{metric.title} lies between {low:g} and {high:g}, not at {bound:g}"
        raise spec.refuse(path, told)


CLASSIFICATION = Problem()
"""Classification by the usual metrics."""
