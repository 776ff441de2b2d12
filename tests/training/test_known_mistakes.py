"""Mistakes of public implementations that belong to the training loop, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kdsearch.data import Dataset, Views
from kdsearch.models import build_network
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.pictures import pictured


@pytest.fixture
def trainer(
    digits: Dataset, make_task: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> Trainer:
    """A student with a learnable helper, two epochs long."""
    return Trainer(make_task("kd+fitnet"), digits, make_teacher())


def helpers(trainer: Trainer) -> dict[str, Tensor]:
    named = trainer.distiller.objective.named_parameters()
    return {name: value.detach().clone() for name, value in named}


def test_the_teacher_does_not_drift(trainer: Trainer) -> None:
    assert trainer.teacher is not None
    network = trainer.teacher.network
    assert any("running_mean" in name for name in network.state_dict())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trainer.distiller.train()
    trainer.distiller.apply(lambda part: part.train())
    trainer.train_epoch()
    nn.ModuleList([trainer.distiller]).train()
    trainer.train_epoch()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training


def test_the_student_trains_again_after_a_validation(trainer: Trainer) -> None:
    modes: list[bool] = []
    trainer.student.stages[0].register_forward_hook(lambda part, *_: modes.append(part.training))
    trainer.train_epoch()
    trainer.train_epoch()
    # four batches of training, one of validation, twice
    assert modes == [*[True] * 4, False] * 2
    assert trainer.distiller.training


def test_batch_statistics_move_in_every_epoch(trainer: Trainer) -> None:
    counts = []
    for _ in range(2):
        trainer.train_epoch()
        state = trainer.student.state_dict()
        counts.append(next(int(v) for name, v in state.items() if "num_batches" in name))
    assert counts == [4, 8]


def test_learnable_helpers_are_optimised(trainer: Trainer) -> None:
    before = helpers(trainer)
    assert before
    optimised = {id(p) for group in trainer._optimizer.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in trainer.distiller.parameters()}
    trainer.train_epoch()
    after = helpers(trainer)
    assert all(not torch.equal(value, after[name]) for name, value in before.items())


def test_learnable_helpers_are_in_the_checkpoint(trainer: Trainer) -> None:
    trainer.train_epoch()
    kept = trainer.state_dict()["distiller"]
    for name, value in helpers(trainer).items():
        assert torch.equal(kept[f"objective.{name}"], value)


def test_learnable_helpers_are_not_in_the_student(
    trainer: Trainer, digits: Dataset, tmp_path: Path
) -> None:
    trainer.train_epoch()
    save_weights(trainer.student, tmp_path / "student.safetensors")
    bare = build_network(trainer.task.model, digits.inputs, len(digits.classes))
    assert load_file(tmp_path / "student.safetensors").keys() == bare.state_dict().keys()
    load_weights(bare, tmp_path / "student.safetensors", "the student")
    images, _ = pictured(Views(digits.test, digits.scales, None, 0).batch(torch.arange(32), 0))
    with torch.no_grad():
        # the trained network computes in another memory format
        torch.testing.assert_close(bare.eval()(images), trainer.student.eval()(images))


def test_no_weight_of_the_teacher_is_in_the_checkpoint(trainer: Trainer) -> None:
    assert trainer.teacher is not None
    trainer.train_epoch()
    own = sum(value.numel() for value in trainer.student.state_dict().values())
    helping = sum(value.numel() for value in trainer.distiller.objective.state_dict().values())
    kept: dict[str, Tensor] = trainer.state_dict()["distiller"]
    assert sum(value.numel() for value in kept.values()) == own + helping
    shapes = {tuple(value.shape) for value in kept.values()}
    largest = max(trainer.teacher.network.state_dict().values(), key=Tensor.numel)
    assert tuple(largest.shape) not in shapes


def test_the_teacher_answers_the_very_view_that_the_student_sees(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trainer.teacher is not None
    seen: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    for who, network in (("student", trainer.student), ("teacher", trainer.teacher.network)):
        traced = network.trace

        def watch(images: Tensor, who: str = who, traced: Callable = traced) -> object:
            seen[who].append(images.clone())
            return traced(images)

        monkeypatch.setattr(network, "trace", watch)
    for step, batch in zip(range(3), trainer.begin_epoch(), strict=False):
        trainer.train_step(batch, step)
    pairs = list(zip(seen["student"], seen["teacher"], strict=True))
    assert len(pairs) == 3
    assert all(torch.equal(student, teacher) for student, teacher in pairs)
