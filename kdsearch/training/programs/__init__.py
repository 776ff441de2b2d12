"""A training as its task asks for it: by whom it is taught, and in how many stages."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kdsearch.data import Dataset
from kdsearch.models import Network
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from kdsearch.training.hardware import Hardware
from kdsearch.training.initial import origin_of
from kdsearch.training.programs.base import TrainingProgram
from kdsearch.training.programs.born_again import BornAgain
from kdsearch.training.programs.mutual import Mutual
from kdsearch.training.programs.staged import Staged
from kdsearch.training.stages import stages_of
from kdsearch.training.task import Task
from kdsearch.training.teacher import AveragedTeachers, Reference, Teaching
from kdsearch.training.trainer import Trainer

__all__ = [
    "BornAgain",
    "Mutual",
    "Staged",
    "TrainingProgram",
    "begin_training",
    "epochs_with_forebears",
    "judged_epochs",
    "teaching_of",
    "total_epochs",
]


def begin_training(
    task: Task,
    data: Dataset,
    teachers: Mapping[str, Teaching],
    hardware: Hardware | None = None,
    reference: Reference | None = None,
    rungs: Collection[int] = (),
    parent: Network | None = None,
) -> TrainingProgram:
    """The training of a task.

    Args:
        task: What to train and who teaches.
        data: The data set.
        teachers: The study's teachers by name, and ``by_task`` where that may teach.
        hardware: What to train on.
        reference: The teacher that students are compared with in evaluations.
        rungs: As :class:`Trainer`, counted as the reports count epochs.
        parent: The trained student that the task goes on from, where it names one.

    Raises:
        KdsearchError: As :class:`Trainer`.
    """
    origin = origin_of(task, teachers) if parent is None else parent
    if task.teacher == BORN_AGAIN:
        return BornAgain(task, data, hardware, reference, rungs, origin)
    if task.teacher == MUTUAL:
        return Mutual(task, data, hardware, reference, rungs)
    teaching = teaching_of(task, teachers)
    if len(stages_of(task.model.ways, task.training.epochs)) > 1:
        return Staged(task, data, teaching, hardware, reference, rungs, origin)
    return Trainer(task, data, teaching, hardware, reference=reference, rungs=rungs, origin=origin)


def teaching_of(task: Task, teachers: Mapping[str, Teaching]) -> Teaching | None:
    """Which of the given teachers, or their average, teaches a task; ``None`` for nobody.

    No study has both an average and ``by_task``, which would count in it twice.

    Args:
        task: A training that is not taught by its own like.
        teachers: The study's teachers by name, and ``by_task`` where that may teach.
    """
    if task.teacher == AVERAGE:
        return AveragedTeachers(list(teachers.values()))
    return None if task.teacher is None else teachers[task.teacher]


def total_epochs(task: Task) -> int:
    """Epochs of a training's reports: forebears are trained as long as the student itself."""
    return epochs_with_forebears(task.training.epochs, task.teacher, task.generations)


def judged_epochs(task: Task) -> int:
    """Those of them that tell how good the student will be: its own, of its last stage."""
    return stages_of(task.model.ways, task.training.epochs)[-1].epochs


def epochs_with_forebears(epochs: int, teacher: str | None, generations: int) -> int:
    """Epochs of a student's training and of all forebears that its teacher asks for."""
    return epochs * (1 + generations * (teacher == BORN_AGAIN))
