"""Trainings with an average of teachers, with forebears, and with a peer."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from kdsearch.data import Batch, Dataset, Views, derive, epoch_order
from kdsearch.errors import MethodError
from kdsearch.models import Signal, build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.initial import initial_student
from kdsearch.training.optimizer import make_optimizer, make_schedule
from kdsearch.training.programs import BornAgain, TrainingProgram, begin_training, total_epochs
from kdsearch.training.task import Task
from kdsearch.training.teacher import AveragedTeachers, Peer, Reference, Teacher
from kdsearch.training.trainer import Trainer
from tests.pictures import pictured
from tests.training.trainings import assert_same_weights, finish

KD = {"temperature": 2.0, "weight": 0.5, "ce_weight": 1.0}


@pytest.fixture
def task_of(make_task: Callable[..., Task]) -> Callable[..., Task]:
    def make(teacher: str | None, generations: int = 1, label: str = "kd", **options: Any) -> Task:
        values = KD if label == "kd" else None
        task = make_task(label, values, clip_grad_norm=None, **options)
        return task.model_copy(update={"teacher": teacher, "generations": generations})

    return make


def train(course: TrainingProgram) -> list[dict[str, float]]:
    return [report.as_dict() for report in finish(course)]


def kd_loss(logits: Tensor, labels: Tensor, answers: Tensor) -> Tensor:
    """Cross-entropy + ½ · 2² · KL at temperature 2, written out."""
    soft = torch.softmax(answers / 2, dim=1)
    divergence = (soft * (soft.log() - (logits / 2).log_softmax(dim=1))).sum() / len(labels)
    return 0.5 * 4 * divergence - logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()


def some_views(digits: Dataset) -> Batch:
    index = torch.arange(9)
    views = Views(digits.train, digits.scales, None, 0)
    return views.batch(index, 0)


def test_an_average_has_the_mean_logits_and_nothing_else(
    digits: Dataset, make_teacher: Callable[[], Teacher]
) -> None:
    one, other = make_teacher(), make_teacher()
    with torch.no_grad():
        other.network.classifier.weight.mul_(-2)
    average = AveragedTeachers([one, other])
    batch = some_views(digits)
    images = batch.inputs["image"]
    expected = (one.network(images) + other.network(images)) / 2
    torch.testing.assert_close(average.observe(batch, {Signal.LOGITS}).logits, expected)
    assert (average.shapes.embedding, average.shapes.features) == (0, ())
    with pytest.raises(MethodError, match="has logits alone"):
        average.observe(batch, {Signal.EMBEDDING})


def test_teachers_whose_outputs_stand_for_the_classes_are_averaged_in_these(
    digits: Dataset, task_of: Callable[..., Task]
) -> None:
    named = {str(digit): [digit, 12 + digit] for digit in range(10)}
    general = ModelConfig(family="convnet", depth=2, outputs=22, stands_for=named)
    teachers = {
        name: Teacher(build_network(general, digits.inputs, 10)) for name in ("one", "other")
    }
    average = AveragedTeachers(list(teachers.values()))
    logits = average.observe(some_views(digits), {Signal.LOGITS}).logits
    assert logits is not None
    assert average.shapes.classes == logits.shape[1] == 10
    report = begin_training(task_of("average"), digits, teachers).train_epoch()
    assert math.isfinite(report.loss)


def test_the_named_teacher_teaches(
    digits: Dataset, task_of: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    other = make_teacher()
    with torch.no_grad():
        other.network.classifier.weight.neg_()
    teachers = {"teacher": make_teacher(), "other": other}
    named = begin_training(task_of("other"), digits, teachers)
    alone = Trainer(task_of("other"), digits, other)
    assert train(named)[-1]["loss"] == train(alone)[-1]["loss"]
    assert_same_weights(named.student, alone.student)


def test_born_again_is_a_chain_of_whole_trainings(
    digits: Dataset, task_of: Callable[..., Task], make_task: Callable[..., Task]
) -> None:
    task = task_of("born_again", generations=2, epochs=2)
    course = begin_training(task, digits, {})
    reports = train(course)
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5, 6]
    assert total_epochs(task) == 6

    first = make_task(clip_grad_norm=None, epochs=2, seed=derive(task.seed, "generation", 0))
    chain = Trainer(first, digits)
    train(chain)
    for seed in (derive(task.seed, "generation", 1), task.seed):
        next_one = Trainer(
            task.model_copy(update={"seed": seed}), digits, Teacher(deepcopy(chain.student))
        )
        train(next_one)
        chain = next_one
    assert_same_weights(course.student, chain.student)


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
@pytest.mark.parametrize("teacher", ["born_again", "mutual"])
def test_a_resumed_course_ends_as_the_whole_one(
    digits: Dataset, task_of: Callable[..., Task], teacher: str, stop: int
) -> None:
    task = task_of(teacher, generations=2, epochs=2 if teacher == "born_again" else 6)
    whole = begin_training(task, digits, {})
    reports = train(whole)
    begun = begin_training(task, digits, {})
    for _ in range(stop):
        begun.train_epoch()
    resumed = begin_training(task, digits, {})
    resumed.load_state_dict(deepcopy(begun.state_dict()))
    rest = train(resumed)
    assert [r["loss"] for r in rest] == [r["loss"] for r in reports[stop:]]
    assert_same_weights(resumed.student, whole.student)


def test_mutual_learning_is_the_papers_algorithm(
    digits: Dataset, task_of: Callable[..., Task]
) -> None:
    task = task_of("mutual", epochs=2)
    course = begin_training(task, digits, {})
    train(course)

    networks, optimizers, schedules = [], [], []
    for seed in (task.seed, derive(task.seed, "peer")):
        torch.manual_seed(seed)
        network = build_network(task.model, digits.inputs, 10).train()
        networks.append(network)
        optimizers.append(make_optimizer(network.parameters(), task.training))
        schedules.append(make_schedule(optimizers[-1], task.training, 4))
    views = Views(digits.train, digits.scales, task.augment, task.views_seed)
    for epoch in range(2):
        order = epoch_order(task.seed, epoch, len(digits.train))
        for step in range(4):
            images, targets = pictured(views.batch(order[step * 60 : (step + 1) * 60], epoch))
            for own, peer in ((0, 1), (1, 0)):
                with torch.no_grad():
                    answers = deepcopy(networks[peer])(images)
                loss = kd_loss(networks[own](images), targets["label"].labels, answers)
                optimizers[own].zero_grad()
                loss.backward()
                optimizers[own].step()
                schedules[own].step()
    assert_same_weights(course.student, networks[0], 1e-5)


@pytest.mark.parametrize("label", ["kd", "dkd+at", "fitnet", "rkd"])
@pytest.mark.parametrize("teacher", ["born_again", "mutual"])
def test_every_kind_of_method_can_teach_its_like(
    digits: Dataset, task_of: Callable[..., Task], teacher: str, label: str
) -> None:
    task = task_of(teacher, label=label)
    course = begin_training(task, digits, {})
    reports = train(course)
    assert all(math.isfinite(value) for report in reports for value in report.values())
    start = dict(initial_student(task, digits).named_parameters())
    for name, parameter in course.student.named_parameters():
        assert parameter.requires_grad
        assert not torch.equal(parameter, start[name])


def test_a_peer_is_left_as_it_is(digits: Dataset, make_teacher: Callable[[], Teacher]) -> None:
    network = deepcopy(make_teacher().network).train().requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = some_views(digits)
    found = Peer(network).observe(batch, {Signal.EMBEDDING})
    assert found.embedding is not None
    assert not found.embedding.requires_grad
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("teacher", ["teacher", "born_again", "mutual", None])
def test_every_student_is_compared_with_the_reference(
    digits: Dataset,
    task_of: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    teacher: str | None,
) -> None:
    label = "none" if teacher is None else "kd"
    reference = Reference(make_teacher(), digits)
    course = begin_training(
        task_of(teacher, label=label), digits, {"teacher": make_teacher()}, None, reference
    )
    report = train(course)[-1]
    views = Views(digits.validation, digits.scales, None, 0)
    images, _ = pictured(views.batch(torch.arange(len(views)), 0))
    with torch.no_grad():
        own = course.student.eval()(images).argmax(dim=1)
        theirs = make_teacher().network(images).argmax(dim=1)
    assert report["agreement"] == pytest.approx(float((own == theirs).double().mean()))
    assert course.score_test().keys() == {"accuracy", "nll", "ece", "agreement", "kl"}


def test_the_teacher_of_a_generation_is_frozen(
    digits: Dataset, task_of: Callable[..., Task]
) -> None:
    course = BornAgain(task_of("born_again"), digits)
    for _ in range(3):
        course.train_epoch()
    teacher = course._trainer.teacher
    assert teacher is not None
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    course.train_epoch()
    after = teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
