"""Batches of labelled and unlabelled samples in a given ratio, and the losses on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.data import Dataset, Views
from kdsearch.errors import DataError
from kdsearch.models import build_network
from kdsearch.problems import Head, Problem
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.class_balance import drawn_by, mean_weight
from kdsearch.training.initial import initial_student
from kdsearch.training.ranks import Ranks
from kdsearch.training.streams import check_shares, epoch_samples
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish, through_a_file

LABELLED = 40
MLP = {"family": "mlp", "width": 0.3, "depth": 1}
MakeTask = Callable[..., Task]


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """240 training samples, of which every sixth has a class."""
    (head,) = digits.problem.heads
    labels = digits.train.labels.where(torch.arange(240) % 6 == 0, -1)
    train = replace(digits.train, targets={"label": labels})
    return replace(
        digits, train=train, problem=digits.problem.with_heads([replace(head, gaps=True)])
    )


@pytest.fixture(scope="module")
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(5)
    return Teacher(build_network(ModelConfig(**MLP | {"width": 1}), digits.inputs, 10))


def config(ratio: float | None, size: int = 60, **more: Any) -> TrainingConfig:
    return TrainingConfig(unlabelled_ratio=ratio, batch_size=size, **more)


@pytest.mark.parametrize(
    ("ratio", "size", "expected"),
    [
        (1, 60, 30),
        (2, 60, 20),
        (7, 64, 8),
        (0.5, 60, 40),
        (1000, 60, 1),
        (0.001, 60, 59),
        (1, 2, 1),
    ],
)
def test_every_batch_holds_both_in_the_ratio(ratio: float, size: int, expected: int) -> None:
    labels = torch.where(torch.arange(500) % 5 == 0, torch.arange(500) % 3, -1)
    steps = 500 // size
    for epoch in range(3):
        drawn = epoch_samples(config(ratio, size), 4, epoch, labels, steps)
        assert len(drawn) == steps * size
        for batch in drawn.split(size):
            assert int((labels[batch] >= 0).sum()) == expected


def test_each_stream_is_gone_through_before_a_sample_comes_again() -> None:
    """Told from the order alone: in every stretch as long as the stream no sample is twice."""
    labels = torch.where(torch.arange(100) < 7, 0, -1)
    drawn = epoch_samples(config(1, 20), 1, 0, labels, 5).view(5, 20)
    labelled, others = drawn[:, :10].flatten().tolist(), drawn[:, 10:].flatten().tolist()
    assert set(labelled) == set(range(7))
    for start in range(0, 49, 7):
        assert sorted(labelled[start : start + 7]) == list(range(7))
    assert len(set(others)) == 50  # of 93, none twice
    assert set(others) <= set(range(7, 100))
    passes = [tuple(labelled[start : start + 7]) for start in range(0, 49, 7)]
    assert len(set(passes)) > 1


def test_it_is_a_pure_function_of_seed_and_epoch() -> None:
    labels = torch.where(torch.arange(100) < 30, 1, -1)

    def drawn(seed: int, epoch: int) -> list[int]:
        return epoch_samples(config(3, 20), seed, epoch, labels, 5).tolist()

    assert drawn(1, 0) == drawn(1, 0)
    assert len({tuple(drawn(*each)) for each in ((1, 0), (1, 1), (2, 0))}) == 3


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_each_workers_share_holds_both(workers: int) -> None:
    labels = torch.where(torch.arange(200) < 20, 0, -1)
    training = config(4, 60)
    check_shares(training, labels, workers)
    whole = epoch_samples(training, 1, 0, labels, 3)
    for batch in whole.split(60):
        shares = [Ranks(rank, workers).share(batch) for rank in range(workers)]
        assert sorted(torch.cat(shares).tolist()) == sorted(batch.tolist())
        for share in shares:
            known = int((labels[share] >= 0).sum())
            assert abs(known - 12 / workers) < 1
            assert known < len(share)


def test_more_workers_than_samples_of_a_kind_are_refused() -> None:
    labels = torch.where(torch.arange(200) < 20, 0, -1)
    with pytest.raises(DataError) as told:
        check_shares(config(29, 60), labels, 3)
    assert str(told.value) == (
        "a batch has 2 labelled and 58 unlabelled samples, too few for 3 workers; raise "
        "training.batch_size, or bring unlabelled_ratio nearer to 1"
    )
    check_shares(config(None, 60), labels, 3)
    check_shares(config(29, 60), labels.clamp(min=0), 3)


def test_balanced_sampling_evens_out_the_labelled_stream() -> None:
    labels = torch.tensor([0] * 45 + [1] * 5 + [-1] * 150)
    training = config(1, 40, sampling="balanced")
    drawn = torch.cat([epoch_samples(training, 3, epoch, labels, 5) for epoch in range(200)])
    known = labels[drawn][labels[drawn] >= 0]
    assert len(known) == 200 * 5 * 20
    assert float(known.double().mean()) == pytest.approx(0.5, abs=6 * np.sqrt(0.25 / len(known)))


@pytest.mark.parametrize("ratio", [0.5, 1, 7, None])
@pytest.mark.parametrize("sampling", ["none", "balanced"])
def test_the_mean_weight_is_that_of_what_is_drawn(
    few: Dataset, ratio: float | None, sampling: str
) -> None:
    own = torch.rand(240, generator=torch.Generator().manual_seed(0)) + 0.5
    train = replace(few.train, weights=own)
    (head,) = few.problem.heads
    training = config(ratio, sampling=sampling)
    by_class = torch.linspace(0.5, 2, 10)
    found = mean_weight(training, train, few.problem, head, by_class)
    labels = drawn_by(train, few.problem)
    drawn = torch.cat([epoch_samples(training, 3, epoch, labels, 4) for epoch in range(300)])
    each = (labels >= 0) * by_class[labels.clamp(min=0)] * own
    assert found == pytest.approx(float(each[drawn].mean()), rel=0.03)


def test_two_tasks_have_each_their_own_mean_weight(few: Dataset) -> None:
    """A sample with one of two targets is of the labelled stream, and counts for one task."""
    places = torch.arange(240)
    one = torch.where(places % 4 == 0, places % 2, -1)
    two = torch.where(places % 8 == 0, places % 2, -1)
    heads = tuple(Head(name, names=("a", "b"), named=True, gaps=True) for name in ("one", "two"))
    split = replace(few.train, targets={"one": one, "two": two})
    problem = Problem(heads=heads)
    found = [mean_weight(config(2), split, problem, head, None) for head in problem.heads]
    assert found == pytest.approx([1 / 3, 1 / 6])


def cross_entropy_part(trainer: Trainer, steps: int = 4) -> tuple[float, int]:
    """The mean cross-entropy part of an epoch's batches without any update, and its labelled
    samples."""
    found, known = [], 0
    for batch in trainer.begin_epoch():
        signals = None
        if trainer.teacher is not None:
            signals = trainer.teacher.observe(batch, trainer.distiller.objective.teacher_signals)
        with torch.no_grad():
            parts = trainer.distiller(batch.inputs, batch.targets, signals, 0.0)
        found.append(float(parts["ce"]))
        known += int((batch.targets["label"].labels >= 0).sum())
    return float(np.mean(found)), known


def test_the_cross_entropys_size_does_not_depend_on_the_ratio(
    few: Dataset, make_task: MakeTask, teacher: Teacher
) -> None:
    """Over whole passes of the labelled samples it is their mean cross-entropy, at any ratio."""
    task = make_task("kd", {"ce_weight": 1.0}, MLP)
    network = initial_student(task, few)
    places = (few.train.labels >= 0).nonzero().flatten()
    batch = Views(few.train, few.scales, None, 0).batch(places, 0)
    with torch.no_grad():
        logits = network(batch.inputs["image"])
    expected = float(F.cross_entropy(logits, few.train.labels[places]))
    for ratio, labelled in ((0.5, 160), (2, 80), (5, 40)):
        task = make_task("kd", {"ce_weight": 1.0}, MLP, unlabelled_ratio=ratio)
        found, known = cross_entropy_part(Trainer(task, few, teacher))
        assert known == labelled
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_step_is_that_of_a_plain_loop(
    few: Dataset, make_task: MakeTask, teacher: Teacher
) -> None:
    """Σ labelled ce / count + w T² KL over all, by plain PyTorch and plain SGD."""
    weight, temperature, lr = 0.8, 3.0, 0.1
    task = make_task(
        "kd",
        {"weight": weight, "temperature": temperature, "ce_weight": 0.5},
        MLP,
        unlabelled_ratio=3,
        lr=lr,
        momentum=0.0,
        nesterov=False,
        weight_decay=0.0,
        schedule="constant",
        clip_grad_norm=None,
    )
    trainer = Trainer(task, few, teacher)
    plain = initial_student(task, few)
    batch = next(iter(trainer.begin_epoch()))
    trainer.train_step(batch, 0)
    images, labels = batch.inputs["image"], batch.targets["label"].labels
    assert int((labels >= 0).sum()) == 15
    logits = plain(images)
    cross = F.cross_entropy(logits, labels, ignore_index=-1)
    with torch.no_grad():
        goal = F.softmax(teacher.network(images) / temperature, dim=1)
    divergence = F.kl_div(F.log_softmax(logits / temperature, dim=1), goal, reduction="batchmean")
    (0.5 * cross + weight * temperature**2 * divergence).backward()
    with torch.no_grad():
        for parameter in plain.parameters():
            assert parameter.grad is not None
            parameter -= lr * parameter.grad
    assert_same_weights(trainer.student, plain, 1e-5)


def test_a_resumed_training_sees_the_same(
    few: Dataset, make_task: MakeTask, teacher: Teacher
) -> None:
    task = make_task("kd", model=MLP, unlabelled_ratio=2, epochs=3)
    whole, half, rest = (Trainer(task, few, teacher) for _ in range(3))
    finish(whole)
    half.train_epoch()
    rest.load_state_dict(through_a_file(half.state_dict()))
    finish(rest)
    assert_same_weights(whole.student, rest.student)


def test_without_a_ratio_or_without_both_kinds_nothing_changes(
    few: Dataset, digits: Dataset, make_task: MakeTask, teacher: Teacher
) -> None:
    def drawn(trainer: Trainer) -> list[Tensor]:
        return [batch.index for batch in trainer.begin_epoch()]

    for label, data in (("none", few), ("kd", digits)):
        one, two = (
            drawn(Trainer(make_task(label, model=MLP, unlabelled_ratio=ratio), data, teacher))
            for ratio in (None, 2)
        )
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    plain = Counter(torch.cat(drawn(Trainer(make_task("kd", model=MLP), few, teacher))).tolist())
    assert plain == dict.fromkeys(range(240), 1)
