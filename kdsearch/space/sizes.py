"""The sizes of proposed students, and the limits that they keep."""

from __future__ import annotations

from typing import Any

from kdsearch.results.record import Phase, TrialRecord
from kdsearch.space.architectures import Architectures
from kdsearch.spec.searching import SearchSection
from kdsearch.spec.study import StudySpec
from kdsearch.training.stages import origin_width, widening
from kdsearch.training.task import Task


def sized_record(
    architectures: Architectures,
    spec: StudySpec,
    number: int,
    phase: Phase,
    task: Task,
    parameters: dict[str, Any] | None = None,
) -> TrialRecord:
    """The record of a training that is about to start, with the sizes that the study wants.

    ``parameters`` are the searched ones, as Optuna names them.
    """
    size = architectures.size(task.model)
    return TrialRecord(
        number=number,
        phase=phase,
        task=task,
        parameters=parameters or {},
        parameter_count=size.parameters,
        macs=size.macs,
        widening=widening(task, origin_width(spec, task.model, task.parent)),
        bytes=size.bytes,
        **architectures.of_files(task.model, spec.search.of_files),
    )


def within_limits(record: TrialRecord, search: SearchSection) -> bool:
    """Whether a student keeps the size limits of the spec."""
    return all(record.size(name) <= limit for name, limit in search.limits.items())
