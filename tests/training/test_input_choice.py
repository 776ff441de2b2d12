"""Teachers and students that take different inputs of the same samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from kdsearch.data import Dataset, Split
from kdsearch.data.dataset import scales_of
from kdsearch.models import build_network
from kdsearch.spec import ModelConfig
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import AveragedTeachers, Reference, Teacher
from kdsearch.training.trainer import Trainer

SEEN = ModelConfig(family="convnet", width=0.5, depth=2, inputs=("image",))
TOLD = ModelConfig(family="mlp", width=0.25, inputs=("sums",))
BOTH = ModelConfig(family="mlp", width=0.25)


@pytest.fixture
def data(digits: Dataset) -> Dataset:
    """The digits with the sums of their rows, and a third input that nobody takes."""

    def widened(split: Split) -> Split:
        sums = split.images[:].double().sum(dim=(1, 3))
        return replace(split, inputs={"image": split.images, "sums": sums, "spare": sums * 2})

    splits = {name: widened(getattr(digits, name)) for name in ("train", "validation", "test")}
    return replace(digits, scales=scales_of(splits["train"]), **splits)


def made(model: ModelConfig, data: Dataset) -> Teacher:
    torch.manual_seed(len(model.family))
    inputs = {name: each for name, each in data.inputs.items() if name != "spare"}
    return Teacher(build_network(model, inputs, 10))


@pytest.mark.parametrize(
    ("student", "teacher", "read"),
    [
        (SEEN, None, {"image"}),
        (SEEN, BOTH, {"image", "sums"}),
        (TOLD, SEEN, {"image", "sums"}),
        (TOLD, TOLD, {"sums"}),
    ],
)
def test_batches_hold_what_is_read(
    data: Dataset,
    make_task: Callable[..., Task],
    student: ModelConfig,
    teacher: ModelConfig | None,
    read: set[str],
) -> None:
    task = make_task("none" if teacher is None else "kd", model=student.model_dump(), epochs=1)
    trainer = Trainer(task, data, teacher and made(teacher, data))
    assert {name for batch in trainer.begin_epoch() for name in batch.inputs} == read
    assert trainer.train_epoch().scores["accuracy"] > 0


@pytest.mark.parametrize("teacher", ["born_again", "mutual"])
def test_students_that_teach_each_other_take_the_same(
    data: Dataset, make_task: Callable[..., Task], teacher: str
) -> None:
    task = make_task("kd", model=TOLD.model_dump(), epochs=1).model_copy(
        update={"teacher": teacher}
    )
    course = begin_training(task, data, {})
    while not course.finished:
        course.train_epoch()
    assert list(course.student.inputs) == ["sums"]
    assert course.score_test()["accuracy"] > 0


def test_an_average_reads_for_all_its_teachers(data: Dataset) -> None:
    teachers = [made(SEEN, data), made(TOLD, data)]
    average = AveragedTeachers(teachers)
    assert average.inputs == {"image", "sums"}
    found = Reference(average, data).logits("validation")
    expected = torch.stack([Reference(each, data).logits("validation") for each in teachers])
    torch.testing.assert_close(found, expected.mean(dim=0))
