"""Trainings side by side, in processes that each hold what all of them need."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
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


def teacher_file(folder: Path) -> Path:
    """The weights of a benchmark's teacher, once it is trained."""
    return folder / "teacher.safetensors"


def taught(make: Callable[[], StudySpec], folder: Path) -> StudySpec:
    """A study whose teacher is trained.

    Args:
        make: Makes the study, with :func:`teacher_file` as its checkpoint once that is there.
        folder: Holds it.
    """
    spec = make()
    if spec.teacher.checkpoint is not None:
        return spec
    train_teacher(spec, teacher_file(folder))
    return make()


def counted(found: Iterable[Any], jobs: int, console: Console) -> list[Any]:
    """The outcomes of jobs, told as they come."""
    kept = []
    for each in found:
        kept.append(each)
        if len(kept) % 10 == 0 or len(kept) == jobs:
            console.print(f"{len(kept)} of {jobs}")
    return kept


@contextmanager
def working_folder(given: Path | None) -> Iterator[Path]:
    """A folder for weights and outcomes: the given one, made if need be, or a temporary one."""
    if given is not None:
        given.mkdir(exist_ok=True)
        yield given.resolve()
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def side_by_side(
    make: Callable[..., Any], arguments: tuple[Any, ...], method: str, keep: Path | None = None
) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """As many processes as there are cores; called with jobs, they give what each job says.

    Args:
        make: Makes what a process holds, once.
        arguments: Of ``make``.
        method: The name of its method that does a job; a job is its one argument.
        keep: A folder that keeps what jobs have said, in JSON: a benchmark that was cut off goes on
            from there, if it is run again with the same arguments.
    """
    context, workers = multiprocessing.get_context("spawn"), os.cpu_count() or 1
    with context.Pool(workers, _start, (make, arguments)) as pool:

        def done(jobs: Iterable[Any]) -> Iterator[Any]:
            return pool.imap(partial(_do, method), jobs, chunksize=1)

        yield done if keep is None else partial(kept, keep / f"{method}.jsonl", arguments, done)


def kept(
    file: Path,
    arguments: tuple[Any, ...],
    done: Callable[[Iterable[Any]], Iterator[Any]],
    jobs: Iterable[Any],
) -> Iterator[Any]:
    """What each job says, in their order; only those are done of which the file says nothing."""
    lines = file.read_text().splitlines() if file.exists() else []
    known = dict(map(json.loads, lines))
    named = {repr((arguments, job)): job for job in jobs}
    fresh = done(job for name, job in named.items() if name not in known)
    for name in named:
        if name not in known:
            known[name] = next(fresh)
            with file.open("a") as end:
                end.write(json.dumps([name, known[name]]) + "\n")
        yield known[name]


_held: list[Any] = []
"""What this process holds, once it is started."""


def _start(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _held.append(make(*arguments))


def _do(method: str, job: Any) -> Any:
    return getattr(_held[0], method)(job)
