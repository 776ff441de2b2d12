"""The sizes of proposed students, and the limits that they keep."""

from __future__ import annotations

from typing import Any

from kdsearch.models import reserved_core
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.space.architectures import Architectures
from kdsearch.spec.searching import SearchSection
from kdsearch.training.task import Task


def measures_latency(search: SearchSection) -> bool:
    """Whether a search wants to know how long a student takes."""
    return "latency" in search.size or search.max_latency is not None


def latency_core(search: SearchSection) -> int | None:
    """The core that trials have to leave to the measuring of latency, if there is any.

    Raises:
        StudyError: As :func:`~kdsearch.models.reserved_core`.
    """
    return reserved_core() if measures_latency(search) else None


def sized_record(
    architectures: Architectures,
    search: SearchSection,
    number: int,
    phase: Phase,
    task: Task,
    parameters: dict[str, Any] | None = None,
) -> TrialRecord:
    """The record of a training that is about to start.

    Args:
        architectures: Tells the student's sizes.
        search: Says which are wanted.
        number: Number in its phase.
        phase: Part of the study.
        task: What is trained.
        parameters: The searched parameters, as Optuna names them.
    """
    size = architectures.size(task.model)
    return TrialRecord(
        number=number,
        phase=phase,
        task=task,
        parameters=parameters or {},
        parameter_count=size.parameters,
        macs=size.macs,
        bytes=size.bytes,
        latency=architectures.latency(task.model) if measures_latency(search) else None,
    )


def within_limits(record: TrialRecord, search: SearchSection) -> bool:
    """Whether a student keeps the size limits of the spec."""
    limits = {
        "parameters": search.max_parameters,
        "macs": search.max_macs,
        "bytes": search.max_bytes,
        "latency": search.max_latency,
    }
    return all(limit is None or record.size(name) <= limit for name, limit in limits.items())
