"""Batches of two domains in a given ratio, and who learns from which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.errors import DataError
from kdsearch.models import build_network
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.class_balance import drawn_by, mean_weight
from kdsearch.training.few_steps import few_samples
from kdsearch.training.ranks import Ranks
from kdsearch.training.streams import check_shares, epoch_samples
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish, through_a_file

MLP = {"family": "mlp", "width": 0.3, "depth": 1}
MakeTask = Callable[..., Task]
LABELS, DOMAIN = torch.arange(500) % 3, torch.arange(500) % 5 > 1


def config(ratio: float | None, size: int = 60, **more: Any) -> TrainingConfig:
    return TrainingConfig(target_ratio=ratio, batch_size=size, **more)


def of_domains(data: Dataset, labelled: int = 0) -> Dataset:
    """240 training samples, of which the last 90 are of the target, some with a class."""
    places = torch.arange(240)
    labels = data.train.labels.where(places < 150 + labelled, -1)
    train = replace(data.train, targets={"label": labels}, domain=places >= 150)
    (head,) = data.problem.heads
    problem = data.problem.with_heads([replace(head, gaps=True)])
    return replace(data, train=train, problem=problem, source_test=data.test)


@pytest.fixture(scope="module")
def domains(digits: Dataset) -> Dataset:
    return of_domains(digits)


@pytest.fixture(scope="module")
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(5)
    return Teacher(build_network(ModelConfig(**MLP | {"width": 1}), digits.inputs, 10))


@pytest.mark.parametrize(
    ("ratio", "size", "source"),
    [(None, 60, 30), (1, 60, 30), (2, 60, 20), (0.5, 60, 40), (9, 4, 1)],
)
def test_every_batch_holds_both_domains_in_the_ratio(
    ratio: float | None, size: int, source: int
) -> None:
    drawn = epoch_samples(config(ratio, size), 4, 0, LABELS, 500 // size, DOMAIN)
    for batch in drawn.split(size):
        assert int((~DOMAIN[batch]).sum()) == source
        assert not bool(DOMAIN[batch[:source]].any())  # the source's come first


def test_labels_do_not_matter_within_a_domain() -> None:
    few = LABELS.where(torch.rand(500, generator=torch.Generator().manual_seed(0)) < 0.1, -1)
    drawn = epoch_samples(config(1), 4, 0, few, 8, DOMAIN).view(8, 60)
    source = drawn[:, :30].flatten().tolist()
    assert len(set(source)) == 200  # each of the 200 once before any comes again
    assert len(set(drawn[:, 30:].flatten().tolist())) == 240


def test_one_domain_alone_comes_in_one_stream() -> None:
    own = LABELS[~DOMAIN]
    alone = torch.zeros(len(own), dtype=torch.bool)
    with_one = epoch_samples(config(3), 2, 1, own, 3, alone)
    assert torch.equal(with_one, epoch_samples(TrainingConfig(batch_size=60), 2, 1, own, 3))


@pytest.mark.parametrize("workers", [2, 3])
def test_each_workers_share_holds_both_domains(workers: int) -> None:
    training = config(4)
    check_shares(training, LABELS, workers, DOMAIN)
    for batch in epoch_samples(training, 1, 0, LABELS, 3, DOMAIN).split(60):
        for rank in range(workers):
            share = Ranks(rank, workers).share(batch)
            assert abs(int((~DOMAIN[share]).sum()) - 12 / workers) < 1


def test_more_workers_than_samples_of_a_domain_are_refused() -> None:
    with pytest.raises(DataError) as told:
        check_shares(config(29), LABELS, 3, DOMAIN)
    assert str(told.value) == (
        "a batch has 2 source and 58 target samples, too few for 3 workers; raise "
        "training.batch_size, or bring target_ratio nearer to 1"
    )


@pytest.mark.parametrize("labelled", [0, 30])
@pytest.mark.parametrize("sampling", ["none", "balanced"])
@pytest.mark.parametrize("ratio", [None, 3])
def test_the_mean_weight_is_that_of_what_is_drawn(
    digits: Dataset, labelled: int, sampling: str, ratio: float | None
) -> None:
    data = of_domains(digits, labelled)
    (head,) = data.problem.heads
    training = config(ratio, sampling=sampling)
    by_class = torch.linspace(0.5, 2, 10)
    found = mean_weight(training, data.train, data.problem, head, by_class)
    labels = drawn_by(data.train, data.problem)
    drawn = torch.cat(
        [epoch_samples(training, 3, each, labels, 4, data.train.domain) for each in range(300)]
    )
    each = (labels >= 0) * by_class[labels.clamp(min=0)]
    assert found == pytest.approx(float(each[drawn].mean()), rel=0.03)


def seen(task: Task, data: Dataset, teacher: Teacher | None = None) -> list[Tensor]:
    """The places of the samples of each step of an epoch."""
    return [batch.index for batch in Trainer(task, data, teacher).begin_epoch()]


def test_the_baseline_learns_from_the_source_alone_in_as_many_steps(
    domains: Dataset, teacher: Teacher, make_task: MakeTask
) -> None:
    plain = seen(make_task("none", model=MLP), domains)
    taught = seen(make_task("kd", model=MLP), domains, teacher)
    assert len(plain) == len(taught) == 4
    assert max(int(index.max()) for index in plain) < 150
    assert all(int((index >= 150).sum()) == 30 for index in taught)


def test_the_baseline_learns_from_labelled_target_samples_too(
    digits: Dataset, make_task: MakeTask
) -> None:
    for index in seen(make_task("none", model=MLP), of_domains(digits, 20)):
        assert int((index >= 150).sum()) == 30
        assert int(index.max()) < 170


def test_batches_say_which_domain_their_samples_are_of(
    domains: Dataset, teacher: Teacher, make_task: MakeTask
) -> None:
    task = make_task("kd", model=MLP)
    for batch in Trainer(task, domains, teacher).begin_epoch():
        domain = batch.targets["label"].domain
        assert domain is not None
        assert torch.equal(domain, batch.index >= 150)
        assert torch.equal(batch.targets["label"].without_class(), domain)


def test_a_resumed_training_ends_as_one_that_went_on(
    domains: Dataset, teacher: Teacher, make_task: MakeTask
) -> None:
    task = make_task("kd", model=MLP, target_ratio=2)
    whole, first = (Trainer(task, domains, teacher) for _ in range(2))
    finish(whole)
    first.train_epoch()
    resumed = Trainer(task, domains, teacher)
    resumed.load_state_dict(through_a_file(first.state_dict()))
    finish(resumed)
    assert_same_weights(whole.student, resumed.student)


def test_few_samples_are_of_both_domains(digits: Dataset) -> None:
    for labelled in (0, 20):
        train = few_samples(of_domains(digits, labelled), 8).train
        assert train.domain is not None
        assert train.domain.tolist() == [False, True] * 4
        unlabelled = (train.labels < 0)[train.domain].tolist()
        assert unlabelled == ([False, True] * 2 if labelled else [True] * 4)


def test_a_batch_of_few_samples_has_two_of_the_target(digits: Dataset) -> None:
    """Also where the source has unlabelled ones: what adapts statistics needs two."""
    data = of_domains(digits)
    labels = data.train.labels.where(torch.arange(240) % 2 == 0, -1)
    half = replace(data, train=replace(data.train, targets={"label": labels}))
    train = few_samples(half, 4).train
    assert train.domain is not None
    assert train.domain.tolist() == [False, True, False, True]
    assert (train.labels < 0).tolist() == [False, True, True, True]


def test_both_tests_are_scored_as_a_plain_loop_does(
    domains: Dataset, teacher: Teacher, make_task: MakeTask
) -> None:
    """Accuracy by NumPy from the logits of images normalised by hand."""
    small = domains.validation
    data = replace(domains, source_test=small)
    trainer = Trainer(make_task("none", model=MLP), data, reference=Reference(teacher, data))
    finish(trainer)
    scores = trainer.score_test()
    scale = data.scales["image"]
    for split, prefix in ((data.test, ""), (small, "source_")):
        pixels = (np.asarray(split.images, np.float32) / 255 - scale.mean[0]) / scale.std[0]
        with torch.no_grad():
            own, other = (
                network.eval()(torch.from_numpy(pixels).float()).argmax(dim=1)
                for network in (trainer.student, teacher.network)
            )
        assert scores[f"{prefix}accuracy"] == pytest.approx(
            float((own == split.labels).float().mean())
        )
        assert scores[f"{prefix}agreement"] == pytest.approx(float((own == other).float().mean()))
    assert (
        "source_accuracy"
        not in Trainer(make_task("none", model=MLP), replace(data, source_test=None)).score_test()
    )
