"""The same training twice, cut in two, or beside another one, ends with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import finish, through_a_file

DROPOUT = {"family": "tests.training.own_networks:with_dropout"}

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> MakeTrainer:
    def make(*args: Any, **options: Any) -> Trainer:
        return Trainer(make_task(*args, **options), digits, make_teacher())

    return make


def finished(trainer: Trainer) -> Trainer:
    finish(trainer)
    return trainer


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.distiller.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


TASKS = {
    "undistilled": {},
    "helpers and momentum": {"label": "kd+fitnet", "augment": {"crop": 1, "mixup": 0.3}},
    "adamw and warm-up": {"label": "dkd", "optimizer": "adamw", "lr": 0.01, "warmup_epochs": 1},
    "dropout": {"model": DROPOUT},
}
each_task = pytest.mark.parametrize("options", TASKS.values(), ids=TASKS.keys())


@each_task
def test_a_training_twice_gives_the_same_bits(
    make_trainer: MakeTrainer, options: dict[str, Any]
) -> None:
    first = finished(make_trainer(**options))
    torch.manual_seed(99)
    second = make_trainer(**options)
    torch.rand(7)  # the rest of the process may draw numbers of its own
    assert equal(weights(first), weights(finished(second)))


def test_another_seed_gives_other_weights(make_trainer: MakeTrainer) -> None:
    assert not equal(weights(finished(make_trainer())), weights(finished(make_trainer(seed=2))))


@each_task
def test_a_training_cut_in_two_gives_the_same_bits(
    make_trainer: MakeTrainer, options: dict[str, Any]
) -> None:
    options = options | {"epochs": 4}
    whole = finished(make_trainer(**options))
    first = make_trainer(**options)
    first.train_epoch()
    first.train_epoch()
    state = through_a_file(first.state_dict())
    torch.manual_seed(99)
    second = make_trainer(**options)
    second.load_state_dict(state)
    assert second.epoch == 2
    assert equal(weights(whole), weights(finished(second)))
    assert whole.evaluate_validation() == second.evaluate_validation()


def test_the_state_of_another_task_is_refused(make_trainer: MakeTrainer) -> None:
    state = make_trainer("kd").state_dict()
    other = make_trainer("kd", seed=2)
    before = weights(other)
    with pytest.raises(ModelError, match="belongs to another training"):
        other.load_state_dict(state)
    assert equal(before, weights(other))


@each_task
def test_trainings_in_one_process_do_not_disturb_each_other(
    make_trainer: MakeTrainer, digits: Dataset, options: dict[str, Any]
) -> None:
    apart = [finished(make_trainer(**options)), finished(make_trainer("dist", seed=4))]
    together = [make_trainer(**options), make_trainer("dist", seed=4)]
    together[1].teacher = together[0].teacher or together[1].teacher
    while not together[0].finished:
        for trainer in together:
            trainer.train_epoch()
    for one, other in zip(apart, together, strict=True):
        assert equal(weights(one), weights(other))


def test_methods_with_one_seed_start_from_the_same_student(make_trainer: MakeTrainer) -> None:
    students = [
        make_trainer(label).student.state_dict() for label in ("none", "kd", "dkd", "kd+fitnet")
    ]
    assert all(equal(students[0], other) for other in students[1:])


def test_methods_with_one_seed_drop_the_same_units(make_trainer: MakeTrainer) -> None:
    """A helper draws initial weights; what the student draws later must not shift by that."""
    without_effect = {"kd.weight": 0.0, "fitnet.weight": 0.0, "ce_weight": 1.0}
    plain = finished(make_trainer("none", model=DROPOUT))
    helped = finished(make_trainer("kd+fitnet", without_effect, model=DROPOUT))
    assert equal(plain.student.state_dict(), helped.student.state_dict())
