"""Every metric by its name in the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from kdsearch.errors import SpecError
from kdsearch.plugins import is_reference, resolve
from kdsearch.problems import classification, multilabel, regression
from kdsearch.problems.head import Kind
from kdsearch.problems.metric import Metric, Predictions
from kdsearch.spec.names import suggest

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for room in (classification, multilabel, regression)
        for metric in room.METRICS
    }
)
"""kdsearch's own, by name."""

USUAL: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"class": classification.USUAL, "labels": multilabel.USUAL, "value": regression.USUAL}
)
"""Those that every study of a kind has, as far as they are of use; the main one first."""

IN_MEAN: Mapping[Kind, str] = MappingProxyType(
    {"class": "accuracy", "labels": "mean_average_precision", "value": "r2"}
)
"""What of each kind of task the mean over the tasks is of: shares, at most 1."""


def _of_several(_: Predictions) -> float:
    raise NotImplementedError("the mean over tasks is of several scores, not of predictions")


MEAN = Metric(
    "mean",
    _of_several,
    lowest=None,
    title="mean over the tasks",
    head="mean",
    about="mean over the tasks (of accuracy, mAP, R²)",
    shown="always",
)
"""The mean over the tasks of accuracy, mean average precision and R², by the kind of each."""


@cache
def find_metric(name: str) -> Metric:
    """The metric that a spec calls ``name``.

    It is one of kdsearch's, or ``module:name`` of the user's; with several tasks it stands behind
    the task's name, ``TASK/METRIC``, or is ``mean``.

    Raises:
        SpecError: There is none, or what the user's module has is no :class:`Metric`.
    """
    task, slash, of_task = name.partition("/")
    if slash and ("/" in of_task or of_task == MEAN.name):
        raise SpecError(f"unknown metric '{name}'; write TASK/METRIC, or mean")
    if slash:
        return _of_task(name, task, find_metric(of_task))
    if name == MEAN.name:
        return MEAN
    if name in METRICS:
        return METRICS[name]
    if not is_reference(name):
        raise SpecError(
            f"unknown metric '{name}'; {suggest(name, METRICS)} (a metric of your own is written "
            "module:name)"
        )
    found = resolve(name, "metric", SpecError)
    if not isinstance(found, Metric):
        raise SpecError(f"{name} is no metric; make it a kdsearch.problems.Metric")
    return found


def _of_task(name: str, task: str, metric: Metric) -> Metric:
    """A metric as it is told of one of several tasks."""
    return replace(
        metric,
        name=name,
        title=f"{task} {metric.title}",
        head=f"{task} {metric.head}",
        loss_title=f"{task} {metric.loss_title}",
        about=f"{metric.about} of {task}",
        shown="wide" if metric.name in _MAIN else "never",
    )


_MAIN = {names[0] for names in USUAL.values()}
