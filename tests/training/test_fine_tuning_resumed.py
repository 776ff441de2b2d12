"""A fine-tuning that was cut off goes on as if it never was; also among its like."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish, through_a_file


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize(
    "tuning", [None, {"head_epochs": 2, "layer_decay": 0.7, "batch_norm": "frozen", "freeze": 1}]
)
def test_a_training_goes_on_as_if_never_cut_off(
    digits: Dataset,
    make_tuned: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    tuning: dict[str, Any] | None,
    cut: int,
) -> None:
    task = make_tuned(tuning, "kd+fitnet", epochs=4, ema=0.9)
    whole = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    expected = finish(whole)
    begun = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    before = [begun.train_epoch() for _ in range(cut)]
    resumed = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    reports = [*before, *finish(resumed)]
    assert [(r.loss, r.lr, r.scores, r.averaged) for r in reports] == [
        (r.loss, r.lr, r.scores, r.averaged) for r in expected
    ]
    assert_same_weights(resumed.student, whole.student)
    assert_same_weights(resumed.distiller, whole.distiller)


@pytest.mark.parametrize("teacher", ["born_again", "mutual"])
def test_trainings_among_their_like(
    digits: Dataset, make_tuned: Callable[..., Task], teacher: str
) -> None:
    """Every generation, and both peers, are fine-tuned; a resumed one goes on alike."""
    tuning = {"freeze": 1, "head_epochs": 1}
    task = make_tuned(tuning, "kd", ema=0.8).model_copy(update={"teacher": teacher})
    whole, begun, resumed = (begin_training(task, digits, {}) for _ in range(3))
    first = copy.deepcopy(whole.student.state_dict())
    finish(whole)
    begun.train_epoch()
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    finish(resumed)
    assert_same_weights(whole.student, resumed.student)
    for name, value in whole.student.state_dict().items():
        assert torch.equal(value, first[name]) == name.startswith("stages.0."), name
