"""Trainings that are saved in a folder and loaded again, maybe by another process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError, ModelError
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
def test_one_that_was_saved_at_each_rung_is_the_whole_one(
    begin: Callable[[str], TrainingProgram], tmp_path: Path, kind: str
) -> None:
    whole = begin(kind)
    expected = finish(whole)
    reports: list[EpochReport] = []
    for rung, before in zip(RUNGS, (None, RUNGS[0]), strict=True):
        program = begin(kind)
        if before is not None:
            load_training(program, tmp_path / str(before))
        while len(reports) < rung:
            reports.append(program.train_epoch())
        (tmp_path / str(rung)).mkdir()
        save_training(program, tmp_path / str(rung))
    program = begin(kind)
    load_training(program, tmp_path / str(RUNGS[-1]))
    assert told([*reports, *finish(program)]) == told(expected)
    assert_same_weights(program.student, whole.student)


@pytest.mark.parametrize("damage", ["absent", "torn", "empty", "foreign", "flipped"])
def test_a_damaged_one_is_refused(
    begin: Callable[[str], TrainingProgram], tmp_path: Path, damage: str
) -> None:
    program = begin("kd")
    program.train_epoch()
    save_training(program, tmp_path)
    file = tmp_path / "training.pt"
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    damaged = {
        "torn": content[: len(content) // 2],
        "empty": b"",
        "foreign": b"no pickle" * 99,
        "flipped": bytes(flipped),
    }
    if damage == "absent":
        file.unlink()
    else:
        file.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match=r"no whole training|is corrupt"):
        load_training(begin("kd"), tmp_path)


def test_that_of_another_training_is_refused(
    begin: Callable[[str], TrainingProgram], tmp_path: Path
) -> None:
    program = begin("kd")
    program.train_epoch()
    save_training(program, tmp_path)
    with pytest.raises(ModelError, match="belongs to another training"):
        load_training(begin("none"), tmp_path)
