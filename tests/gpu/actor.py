"""The actor that trains students one after another, without Ray around it."""

from __future__ import annotations

from pathlib import Path

from kdsearch.execution.failures import CrashLog
from kdsearch.execution.trainable import StudentTrial
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import TrainingProgram
from kdsearch.training.task import Task


def idle_actor(hardware: Hardware) -> StudentTrial:
    """An actor that is ready for its first trial."""
    trial = object.__new__(StudentTrial)
    trial._hardware = hardware
    trial._resources = ResourcesSection()
    trial._measured = ()
    trial._crash_log, trial._fault, trial._node = CrashLog(), None, "here"
    return trial


def take_up(trial: StudentTrial, task: Task, crash_log: Path | None = None) -> None:
    """Let the actor end what it has and make ready for another task, as Ray Tune does."""
    log = str(crash_log or "")
    trial.reset_config({"task": task.model_dump(mode="json"), "rungs": [], "crash_log": log})


def hold(trial: StudentTrial, program: TrainingProgram) -> None:
    """Give the actor a training that it has begun."""
    trial._program = program
