"""The moving average that is shipped: by NumPy, scored, and handed on."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from kdsearch.data import Dataset
from kdsearch.models import Network
from kdsearch.training.averaging import WeightAverage, exponential
from kdsearch.training.evaluation import evaluate
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import BornAgain
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, plain_views
from kdsearch.training.trainer import Trainer, shipped_weights
from tests.training.trainings import assert_same_weights, finish

DECAY = 0.5


def averaged(seen: list[dict[str, np.ndarray]], decay: float) -> dict[str, np.ndarray]:
    """The average of some states, in double precision; of whole numbers the last."""
    found = {name: value.astype(np.float64) for name, value in seen[0].items()}
    for step, state in enumerate(seen[1:], start=1):
        kept = min(decay, (1 + step) / (10 + step))
        for name, value in state.items():
            whole = np.issubdtype(value.dtype, np.integer)
            found[name] = value if whole else kept * found[name] + (1 - kept) * value
    return found


def state(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("decay", [DECAY, 0.999])
def test_it_is_the_average_of_the_weights_after_each_step(
    digits: Dataset, make_task: Callable[..., Task], decay: float
) -> None:
    """Of 16 steps those before the eighth are weighed by their number alone, where decay is 0.5."""
    task, seen = make_task(epochs=4, ema=decay), []
    trainer = Trainer(task, digits)
    assert_same_weights(trainer.student, trainer.distiller.student)
    while not trainer.finished:
        losses = []
        for step, batch in enumerate(trainer.begin_epoch()):
            losses.append(trainer.train_step(batch, step))
            seen.append(state(trainer.distiller.student))
        report = trainer.end_epoch(losses, 0.0)
    assert len(seen) == 16
    expected = averaged(seen, decay)
    for name, value in trainer.student.state_dict().items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-5, atol=1e-6)
    cpu = torch.device("cpu")
    views = plain_views(digits, "validation", cpu)
    for network, same in ((trainer.student, True), (trainer.distiller.student, False)):
        scores = evaluate(network, views, digits.problem)
        assert (scores["nll"] == report.scores["nll"]) == same
    test = evaluate(trainer.student, plain_views(digits, "test", cpu), digits.problem)
    assert trainer.score_test()["nll"] == test["nll"]
    given = shipped_weights(trainer.state_dict())
    assert given.keys() == trainer.student.state_dict().keys()
    assert all(torch.equal(given[k], v) for k, v in trainer.student.state_dict().items())


def test_the_weights_that_are_trained_are_those_without_it(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    plain, average = (Trainer(make_task("none", ema=ema), digits) for ema in (None, 0.9))
    finish(plain)
    finish(average)
    assert_same_weights(plain.student, average.distiller.student)


def test_the_average_teaches_the_next_generation(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    task = make_task("kd", epochs=1, ema=0.9).model_copy(update={"teacher": "born_again"})
    program = BornAgain(task, digits)
    program.train_epoch()
    average = copy.deepcopy(program.student)
    program.train_epoch()
    assert program._teacher is not None
    assert_same_weights(program._teacher.network, average)


def test_what_is_shipped_in_float16_is_the_rounded_average(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    model = {"family": "convnet", "width": 0.5, "depth": 2, "stored": "float16"}
    trainer = Trainer(make_task(model=model, ema=0.9), digits)
    finish(trainer)
    for value in trainer.student.parameters():
        assert torch.equal(value, value.half().float())
    assert any(
        not torch.equal(value, value.half().float())
        for value in trainer.distiller.student.parameters()
    )


class Counting(nn.Module):
    """Keeps state that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.steps = 0

    def get_extra_state(self) -> int:
        return self.steps

    def set_extra_state(self, state: int) -> None:
        self.steps = state


def test_other_state_is_the_latest() -> None:
    network = Counting()
    average = WeightAverage(network, exponential(0.9))
    network.steps = 7
    average.update()
    assert average.network.steps == 7


@pytest.mark.slow
def test_a_compiled_training_is_the_same(
    digits: Dataset,
    make_task: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
) -> None:
    task = make_task("kd+fitnet", precision="float32", ema=0.9)
    compiled, plain = (
        Trainer(task, digits, make_teacher(), Hardware(torch.device("cpu"), compiled=each))
        for each in (True, False)
    )
    for one, other in zip(finish(compiled), finish(plain), strict=True):
        assert one.scores["nll"] == pytest.approx(other.scores["nll"], rel=1e-4)


def test_an_average_is_a_network(digits: Dataset, make_task: Callable[..., Task]) -> None:
    student = Trainer(make_task(ema=0.9), digits).student
    assert isinstance(student, Network)
    assert student.signal_shapes().classes == 10
