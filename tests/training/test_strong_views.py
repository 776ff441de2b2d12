"""Trainings that see two views of each sample, against a loop in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.data import Dataset, Views, derive
from kdsearch.errors import MethodError
from kdsearch.models import Network, build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.distiller import Distiller
from kdsearch.training.programs import BornAgain
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import finish

MakeTask = Callable[..., Task]
STRONG = {"crop": 2, "cutout": 4, "rotation": 20}
SHARE = 60 / 240
"""Of the samples that have a class, in the split and, at the ratio 3, in every batch."""
CONVNET = {"family": "convnet", "width": 0.5, "depth": 2}


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """240 training samples, of which the first 60 have a class."""
    (head,) = digits.problem.heads
    labels = digits.train.labels.where(torch.arange(240) < 60, -1)
    train = replace(digits.train, targets={"label": labels})
    problem = digits.problem.with_heads([replace(head, gaps=True)])
    return replace(digits, train=train, problem=problem)


@pytest.fixture(scope="module")
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(5)
    return Teacher(build_network(ModelConfig(**CONVNET | {"width": 1}), digits.inputs, 10))


@pytest.fixture
def task_of(make_task: MakeTask) -> MakeTask:
    def make(label: str = "fixmatch", **options: Any) -> Task:
        values = {"confidence": 0.2} if label == "fixmatch" else {"confidence": 0.1}
        given = {"values": values, "augment": {"crop": 1}, "strong": STRONG, "clip_grad_norm": None}
        return make_task(label, precision="float32", **given | options)

    return make


def two_views(task: Task, data: Dataset, index: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
    """The weak and the strong images, by views of this test's own."""
    changes = (task.views_seed, task.augment), (derive(task.views_seed, "strong"), task.strong)
    weak, strong = (
        Views(data.train, data.scales, augment, seed).batch(index, epoch).inputs["image"]
        for seed, augment in changes
    )
    return weak, strong


def plain_loss(
    network: Network, images: tuple[Tensor, Tensor], labels: Tensor, teacher: nn.Module | None
) -> Tensor:
    """Of one forward pass of both views: the cross-entropy of the labelled weak ones, and the
    term's of the strong ones."""
    weak, strong = network(torch.cat(images)).chunk(2)
    known = labels >= 0
    ce = F.cross_entropy(weak[known], labels[known], reduction="sum") / (len(labels) * SHARE)
    if teacher is None:
        sure, decided = weak.detach().softmax(1).max(1)
        each = F.cross_entropy(strong, decided, reduction="none") * (sure >= 0.2)
    else:
        with torch.no_grad():
            told = teacher(images[0]).softmax(1)
        each = -(told * strong.log_softmax(1)).sum(1) * (told.amax(1) >= 0.1)
    return ce + each[~known].mean()


def test_batches_have_a_strong_view_that_depends_on_seed_epoch_and_sample_alone(
    few: Dataset, task_of: MakeTask
) -> None:
    task = task_of()
    trainer = Trainer(task, few)
    seen: list[dict[int, Tensor]] = []
    for epoch in range(2):
        trainer.epoch = epoch
        seen.append({})
        for batch in trainer.begin_epoch():
            assert batch.strong is not None
            for views, expected in zip(
                (batch.inputs, batch.strong), two_views(task, few, batch.index, epoch), strict=True
            ):
                assert torch.equal(views["image"], expected)
            seen[-1] |= dict(zip(batch.index.tolist(), batch.strong["image"], strict=True))
    assert any(not torch.equal(image, seen[1][place]) for place, image in seen[0].items())


def test_no_strong_view_is_made_where_no_term_reads_one(few: Dataset, task_of: MakeTask) -> None:
    trainer = Trainer(task_of("none", values={}), few)
    assert all(batch.strong is None for batch in trainer.begin_epoch())


@pytest.mark.parametrize("label", ["fixmatch", "noisy_student"])
@pytest.mark.parametrize("ratio", [None, 3])
def test_a_step_is_that_of_a_plain_loop(
    few: Dataset, task_of: MakeTask, teacher: Teacher, label: str, ratio: float | None
) -> None:
    """Loss, weights and batch statistics after one step, of both views at once."""
    task = task_of(label, unlabelled_ratio=ratio, optimizer="sgd", lr=0.1)
    taught = label == "noisy_student"
    trainer = Trainer(task, few, teacher if taught else None)
    network = deepcopy(trainer.distiller.student).train()
    batch = next(iter(trainer.begin_epoch()))
    labels = few.train.labels[batch.index]
    images = two_views(task, few, batch.index, 0)
    loss = plain_loss(network, images, labels, teacher.network if taught else None)
    loss.backward()
    found = trainer.train_step(batch, 0)
    assert float(found) == pytest.approx(float(loss.detach()), rel=1e-5)
    gradients = dict(network.named_parameters())
    for name, parameter in trainer.distiller.student.named_parameters():
        expected, gradient = gradients[name].grad, parameter.grad
        assert expected is not None
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
    buffers = dict(network.named_buffers())
    for name, buffer in trainer.distiller.student.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", ["fixmatch", "fixmatch+rkd"])
def test_a_compiled_student_has_the_same_loss(
    few: Dataset, task_of: MakeTask, teacher: Teacher, label: str
) -> None:
    values = {} if "+" in label else {"confidence": 0.2}
    trainer = Trainer(task_of(label, values=values), few, teacher)
    student, objective = trainer.distiller.student, trainer.distiller.objective
    batch = next(iter(trainer.begin_epoch()))
    signals = teacher.observe(batch, objective.teacher_signals) if "+" in label else None
    compiled = torch.compile(student.trace, backend="eager")
    losses = [
        Distiller(student, objective, forward)(
            batch.inputs, batch.targets, signals, 0.5, batch.strong
        )
        for forward in (None, compiled)
    ]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name], value, rtol=1e-5, atol=1e-6)


def test_other_terms_read_the_weak_views(
    few: Dataset, task_of: MakeTask, make_task: MakeTask, teacher: Teacher
) -> None:
    """In eval mode, where batch statistics do not count, kd beside fixmatch is kd alone."""
    both = Trainer(task_of("kd+fixmatch", values={}), few, teacher)
    alone = Trainer(make_task("kd", augment={"crop": 1}, precision="float32"), few, teacher)
    batch = next(iter(both.begin_epoch()))
    signals = teacher.observe(batch, both.distiller.objective.teacher_signals)
    parts = [
        trainer.distiller.eval()(batch.inputs, batch.targets, signals, 0.5, strong)
        for trainer, strong in ((both, batch.strong), (alone, None))
    ]
    for name in ("kd", "ce"):
        torch.testing.assert_close(parts[0][name], parts[1][name], rtol=1e-5, atol=1e-6)


def test_a_student_that_is_born_again_by_noisy_student_learns_from_the_one_before(
    few: Dataset, task_of: MakeTask
) -> None:
    """The iteration of the paper: labels alone at first, then the trained student teaches."""
    given = {"teacher": "born_again", "generations": 2}
    task = task_of("noisy_student", epochs=1).model_copy(update=given)
    course = BornAgain(task, few)
    assert len(finish(course)) == 3
    again = BornAgain(task, few)
    again.train_epoch()
    first = again.student
    again.train_epoch()
    assert again.generation == 1
    assert again._trainer.teacher is not None
    assert again._trainer.teacher.network is first
    states = [network.state_dict() for network in (first, again.student, course.student)]
    assert len({float(next(iter(state.values())).double().sum()) for state in states}) == 3


def test_a_training_without_the_setting_is_refused(few: Dataset, task_of: MakeTask) -> None:
    with pytest.raises(MethodError, match=r"^fixmatch reads strongly augmented images; set data"):
        Trainer(task_of(strong=None), few)
