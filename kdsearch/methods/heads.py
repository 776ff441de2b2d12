"""Which tasks a method can distil, and what it sees of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kdsearch.errors import MethodError
from kdsearch.methods.base import Method
from kdsearch.models.signals import Signals
from kdsearch.problems import Head


def of_head(head: Head, signals: Signals) -> Signals:
    """The signals with the logits of one task."""
    logits, strong = signals.logits, signals.strong
    return replace(
        signals,
        logits=None if logits is None else head.of(logits),
        strong=None if strong is None else of_head(head, strong),
    )


def labelled(heads: Sequence[Head]) -> Head:
    """The first task of classes that no sample lacks, else the first of classes, or of all."""
    classes = [head for head in heads if head.kind == "class"]
    return next((head for head in classes if not head.gaps), next(iter(classes), heads[0]))


def check_task(method: type[Method], head: Head) -> None:
    """Refuse a task whose logits a method cannot compare.

    Raises:
        MethodError: The method distils no tasks of the kind.
    """
    if head.kind not in method.tasks:
        what = {"labels": "labels", "value": "a value"}.get(head.kind, "a class")
        raise MethodError(
            f"{method.name} distils classes, and '{head.name}' is {what}; use kd, mse_logits or a "
            "method that reads no logits"
        )
    check_labels(method, head)


def check_labels(method: type[Method], head: Head) -> None:
    """Refuse a method that reads the class of each sample where there are none.

    Raises:
        MethodError: Some sample has none.
    """
    if method.by_label and (head.kind != "class" or head.gaps):
        lacks = "some samples have none" if head.kind == "class" else "there are none"
        raise MethodError(
            f"{method.name} reads the class of every sample, and {lacks}; leave it out"
        )
