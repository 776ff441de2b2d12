"""Trainings side by side, in processes that each hold what all of them need."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from studies import StudyCache

from kdsearch.models.weights import save_weights
from kdsearch.space.checks import make_plan
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.programs import teaching_of
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teaching
from kdsearch.training.teacher_store import teacher_task
from kdsearch.training.trainer import Trainer


class StudyBench:
    """What a process holds of a study: data, and a teacher whose answers are kept.

    Args:
        spec: The study, its teacher given as a checkpoint.
    """

    def __init__(self, spec: StudySpec) -> None:
        torch.set_num_threads(1)
        plan = make_plan(spec)
        self.data = plan.data
        self.teachers: dict[str, Teaching] = {TEACHER: StudyCache(plan).teacher}

    def trainer(self, task: Task, rungs: Iterable[int] = ()) -> Trainer:
        """The training of a task by that teacher."""
        return Trainer(task, self.data, teaching_of(task, self.teachers), rungs=frozenset(rungs))


def train_teacher(spec: StudySpec, weights: Path) -> None:
    """Train a study's teacher in this process."""
    trainer = Trainer(teacher_task(spec, TEACHER), make_plan(spec).data)
    while not trainer.finished:
        trainer.train_epoch()
    save_weights(trainer.student, weights)


@contextmanager
def side_by_side(
    make: Callable[..., Any], arguments: tuple[Any, ...], method: str
) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """As many processes as there are cores; called with jobs, they give what each job says.

    Args:
        make: Makes what a process holds, once.
        arguments: Of ``make``.
        method: The name of its method that does a job; a job is its one argument.
    """
    context, workers = multiprocessing.get_context("spawn"), os.cpu_count() or 1
    with context.Pool(workers, _start, (make, arguments)) as pool:
        yield lambda jobs: pool.imap(partial(_do, method), jobs, chunksize=1)


_held: list[Any] = []
"""What this process holds, once it is started."""


def _start(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _held.append(make(*arguments))


def _do(method: str, job: Any) -> Any:
    return getattr(_held[0], method)(job)
