"""Trainings that are put aside in a file and taken up again, maybe by another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.programs import TrainingProgram, begin_training
from kdsearch.training.reports import EpochReport
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from tests.training.trainings import assert_same_weights, finish

RUNGS = (1, 3)


def told(reports: list[EpochReport]) -> list[tuple]:
    """Everything but the time that they took."""
    return [(r.epoch, r.loss, r.lr, r.scores, r.averaged) for r in reports]


@pytest.fixture
def begin(
    digits: Dataset, make_teacher: Callable[[], Teacher], task_of_kind: Callable[[str], Task]
) -> Callable[[str], TrainingProgram]:
    teachers = {"teacher": make_teacher()}
    return lambda kind: begin_training(task_of_kind(kind), digits, teachers, rungs=RUNGS)


@pytest.fixture
def task_of_kind(make_task: Callable[..., Task]) -> Callable[[str], Task]:
    def make(kind: str) -> Task:
        if kind in ("born_again", "mutual"):
            return make_task("kd", epochs=4).model_copy(update={"teacher": kind})
        teacher = None if kind == "none" else "teacher"
        return make_task(kind, epochs=4).model_copy(update={"teacher": teacher})

    return make


@pytest.mark.parametrize("kind", ["none", "kd", "crd", "fitnet", "born_again", "mutual"])
def test_one_that_was_put_aside_at_each_rung_is_the_whole_one(
    begin: Callable[[str], TrainingProgram], tmp_path: Path, kind: str
) -> None:
    whole = begin(kind)
    expected = finish(whole)
    reports: list[EpochReport] = []
    for rung, before in zip(RUNGS, (None, RUNGS[0]), strict=True):
        course = begin(kind)
        if before is not None:
            load_training(course, tmp_path / f"{before}.pt")
        while len(reports) < rung:
            reports.append(course.train_epoch())
        save_training(course, tmp_path / "deeper" / ".." / f"{rung}.pt")
    course = begin(kind)
    load_training(course, tmp_path / f"{RUNGS[-1]}.pt")
    assert told([*reports, *finish(course)]) == told(expected)
    assert_same_weights(course.student, whole.student)
    assert {path.name for path in tmp_path.iterdir()} == {"1.pt", "3.pt", "deeper"}


@pytest.mark.parametrize("damage", ["absent", "torn", "empty", "foreign"])
def test_without_its_file_a_training_starts_over(
    begin: Callable[[str], TrainingProgram], tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "kd.pt"
    course = begin("kd")
    course.train_epoch()
    save_training(course, file)
    content = file.read_bytes()
    damaged = {"torn": content[: len(content) // 2], "empty": b"", "foreign": b"no pickle" * 99}
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    course = begin("kd")
    load_training(course, file)
    assert told(finish(course)) == told(finish(begin("kd")))


def test_the_file_of_another_training_is_refused(
    begin: Callable[[str], TrainingProgram], tmp_path: Path
) -> None:
    course = begin("kd")
    course.train_epoch()
    save_training(course, tmp_path / "kd.pt")
    with pytest.raises(ModelError, match="belongs to another training"):
        load_training(begin("none"), tmp_path / "kd.pt")
