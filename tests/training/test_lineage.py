"""Students that go on from a trained, wider one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdsearch.compression import cut
from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError
from kdsearch.models import Network, build_network
from kdsearch.models.weights import save_weights
from kdsearch.training.initial import initial_student
from kdsearch.training.lineage import load_parent, parent_file, parent_of
from kdsearch.training.programs import TrainingProgram, begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from tests.training.trainings import assert_same_weights, finish, through_a_file

MakeTask = Callable[..., Task]
WIDE = {"family": "resnet", "depth": 8, "width": 0.5}


@pytest.fixture
def parent(make_task: MakeTask) -> Task:
    return make_task("kd", model=WIDE).model_copy(update={"teacher": "teacher"})


def link(task: Task, width: float, **more: object) -> Task:
    model = task.model.model_copy(update={"width": width, **more})
    return task.model_copy(update={"model": model, "parent": parent_of(task)})


def trained(task: Task, data: Dataset, teacher: Teacher, file: Path) -> Network:
    training = begin_training(task, data, {"teacher": teacher})
    finish(training)
    save_weights(training.student, file)
    return training.student


def test_at_the_same_width_it_begins_with_equal_logits(
    digits: Dataset, parent: Task, make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    file = parent_file(tmp_path, parent.key)
    before = trained(parent, digits, make_teacher(), file)
    before.to(memory_format=torch.contiguous_format)  # by which sums are rounded
    task = link(parent, 0.5)
    student = initial_student(task, digits, load_parent(task, digits, file))
    images = torch.randn(8, *digits.inputs["image"].shape)
    assert torch.equal(student.eval()(images), before.eval()(images))


def test_a_narrower_one_keeps_the_parents_best_channels(
    digits: Dataset, parent: Task, make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    wide = trained(parent, digits, make_teacher(), tmp_path / "wide.safetensors")
    task = link(parent, 0.25, importance="bn_scale")
    student = initial_student(
        task, digits, load_parent(task, digits, tmp_path / "wide.safetensors")
    )
    expected = build_network(task.model, digits.inputs, 10)
    cut(wide, expected, "bn_scale")
    assert_same_weights(student, expected)


def test_one_that_was_cut_off_goes_on_to_equal_weights(
    digits: Dataset, parent: Task, make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    file = tmp_path / "wide.safetensors"
    trained(parent, digits, make_teacher(), file)
    task = link(parent, 0.25)

    def begin() -> TrainingProgram:
        student = load_parent(task, digits, file)
        return begin_training(task, digits, {"teacher": make_teacher()}, parent=student)

    whole, cut_off, again = begin(), begin(), begin()
    cut_off.train_epoch()
    again.load_state_dict(through_a_file(cut_off.state_dict()))
    finish(whole)
    finish(again)
    assert_same_weights(whole.student, again.student)


def test_its_key_is_that_of_its_whole_lineage(parent: Task) -> None:
    alone, child = link(parent, 0.25).model_copy(update={"parent": None}), link(parent, 0.25)
    other = link(parent.model_copy(update={"seed": 9}), 0.25).model_copy(update={"seed": 1})
    assert len({parent.key, alone.key, child.key, other.key}) == 4
    assert link(child, 0.1).lineage_epochs == 3 * parent.training.epochs
    # the key of a task without a parent is that of earlier versions
    assert "parent" not in alone.model_dump(exclude_defaults=True)


def test_a_damaged_file_is_told(digits: Dataset, parent: Task, tmp_path: Path) -> None:
    task = link(parent, 0.25)
    with pytest.raises(CheckpointError, match=r"goes on from is lost: .*wide.*cannot be read"):
        load_parent(task, digits, tmp_path / "wide.safetensors")
    network = build_network(parent.model, digits.inputs, 10)
    save_weights(network, tmp_path / "wide.safetensors")
    with (tmp_path / "wide.safetensors").open("r+b") as content:
        content.seek(-4, 2)
        content.write(b"\x01\x02\x03\x04")
    with pytest.raises(CheckpointError, match="not as it was saved"):
        load_parent(task, digits, tmp_path / "wide.safetensors")
