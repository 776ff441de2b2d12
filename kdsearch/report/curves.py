"""Learning curves of the trials, with the epochs after which they were paused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kdsearch.problems import find_metric
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study

LOSS = "loss"
"""The name of the training loss in a report of an epoch."""


def curve_names(study: Study) -> list[str]:
    """What is drawn over the epochs: objectives, metrics that tables show, the training loss."""
    objectives = study.objectives
    shown = [name for name in study.metrics if find_metric(name).shown != "never"]
    return list(dict.fromkeys((objectives.score, *objectives.more, *shown, LOSS)))


def curves(
    records: Sequence[TrialRecord], lines: Sequence[TrialRecord], names: Sequence[str]
) -> dict[str, Any]:
    """Each trial's values after every epoch, by its number and the value's name.

    Args:
        records: The trials as they are now.
        lines: What the journal of the search holds, in order.
        names: What is told.
    """
    paused: dict[int, list[int]] = {}
    for line in lines:
        if line.status == "paused":
            marks = paused.setdefault(line.number, [])
            if len(line.epochs) not in marks:
                marks.append(len(line.epochs))
    return {
        str(record.number): {
            "paused": [mark for mark in paused.get(record.number, []) if mark],
            **{name: [epoch.get(name) for epoch in record.epochs] for name in names},
        }
        for record in records
        if record.epochs
    }
