"""Teachers of studies, trained in the process of the tests."""

from __future__ import annotations

from kdsearch.data import Dataset, load_study_data
from kdsearch.models import Network
from kdsearch.results.directory import StudyDirectory
from kdsearch.spec import StudySpec
from kdsearch.training.task import Task
from kdsearch.training.teacher_store import TeacherStore, teacher_key, teacher_task
from kdsearch.training.trainer import Trainer


def train_teachers(spec: StudySpec) -> None:
    """Train a study's teachers and keep them where it finds them, as those of an earlier study.

    For studies whose subject is another: to start Ray Train costs more than their trials.
    """
    data, store = load_study_data(spec), TeacherStore(StudyDirectory.teachers(spec))
    for name in spec.teachers_in_use:
        if spec.given_teachers[name].is_trained:
            task = teacher_task(spec, name)
            network, history = trained(task, data)
            store.keep(teacher_key(task, data), network, task, {"history": history})


def trained(task: Task, data: Dataset) -> tuple[Network, list[dict[str, float]]]:
    """A teacher, and a report for each epoch of its training."""
    trainer, history = Trainer(task, data), []
    while not trainer.finished:
        history.append(trainer.train_epoch().as_dict())
    return trainer.student, history
