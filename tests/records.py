"""Records made by hand, for tests that train nothing."""

from __future__ import annotations

from kdsearch.models import Size
from kdsearch.results.record import Phase, TrialRecord
from kdsearch.spec import MethodConfig, ModelConfig, TrainingConfig
from kdsearch.training.task import Task

TASK = Task(
    model=ModelConfig(family="convnet"),
    method=MethodConfig(label="none"),
    training=TrainingConfig(),
    views_seed=0,
    seed=0,
)


def trial(number: int, accuracy: float | None, size: int) -> TrialRecord:
    epochs = () if accuracy is None else ({"accuracy": accuracy, "epoch": 1, "seconds": 1.0},)
    return TrialRecord(
        number=number,
        phase="search",
        task=TASK,
        parameter_count=size,
        macs=2 * size,
        bytes=4 * size,
        status="failed" if accuracy is None else "complete",
        epochs=epochs,
    )


def sized(number: int, phase: Phase, task: Task, size: Size) -> TrialRecord:
    """The record of a training that is about to start."""
    return TrialRecord(
        number=number,
        phase=phase,
        task=task,
        parameter_count=size.parameters,
        macs=size.macs,
        bytes=size.bytes,
    )
