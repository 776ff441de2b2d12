"""Trainings of before, as a resumed study goes on with them."""

from __future__ import annotations

from kdsearch.results.record import TrialRecord
from kdsearch.spec.study import StudySpec
from kdsearch.training.recipe import with_weights_of


def taken_up(spec: StudySpec, record: TrialRecord) -> TrialRecord:
    """A training's record with its initial weights where the spec has them now.

    One that goes on builds its network again, so it must find them.
    """
    if record.over:
        return record
    model = with_weights_of(spec, record.task.model)
    return record.model_copy(update={"task": record.task.model_copy(update={"model": model})})
