"""Trainings on data of which few samples have a target: losses, gradients, and who is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor, nn

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.problems import Head, Problem
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.training.class_balance import drawn_by, mean_weight, sample_order
from kdsearch.training.few_steps import few_samples
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish

LABELLED = 60
MakeTask = Callable[..., Task]
MLP = {"family": "mlp", "width": 0.3, "depth": 1}


def without(labels: Tensor, kept: int = LABELLED) -> Tensor:
    """The labels, -1 behind the first so many."""
    return labels.where(torch.arange(len(labels)) < kept, -1)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """240 training samples, of which the first 60 have a class."""
    (head,) = digits.problem.heads
    train = replace(digits.train, targets={"label": without(digits.train.labels)})
    return replace(
        digits, train=train, problem=digits.problem.with_heads([replace(head, gaps=True)])
    )


@pytest.fixture(scope="module")
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(5)
    return Teacher(build_network(ModelConfig(**MLP | {"width": 1}), digits.inputs, 10))


class Seen:
    """Logits and embeddings of a step's batch, and the gradient of its loss in the logits."""

    def __init__(self, classifier: nn.Module) -> None:
        classifier.register_forward_hook(self._forward)

    def _forward(self, _: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self.embedding, self.logits = inputs[0].detach().numpy(), logits.detach().numpy()
        if logits.requires_grad:
            logits.register_hook(lambda gradient: setattr(self, "gradient", gradient.numpy()))


def first_step(trainer: Trainer) -> tuple[Any, Seen]:
    seen = Seen(trainer.student.classifier)
    batch = next(iter(trainer.begin_epoch()))
    trainer.train_step(batch, 0)
    return batch, seen


def test_a_baseline_has_the_gradient_of_the_labelled_samples_alone(
    few: Dataset, make_task: MakeTask
) -> None:
    """One step on all of them at once, by the formula of softmax regression."""
    trainer = Trainer(make_task("none", model=MLP, clip_grad_norm=None), few)
    assert trainer.steps_per_epoch == 240 // 60
    batch, seen = first_step(trainer)
    places = batch.index.numpy()
    assert sorted(places) == list(range(LABELLED))
    labels = few.train.labels.numpy()[places]
    error = softmax(seen.logits, axis=1)
    error[np.arange(LABELLED), labels] -= 1
    np.testing.assert_allclose(seen.gradient, error / LABELLED, rtol=1e-4, atol=1e-7)
    gradient = trainer.student.classifier.weight.grad
    assert gradient is not None
    expected = error.T @ seen.embedding / LABELLED
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_distillation_learns_from_every_sample_and_the_targets_from_theirs(
    few: Dataset, make_task: MakeTask, teacher: Teacher
) -> None:
    """Σ over a batch of B: ce (p - y) / (B · share labelled) + w T (p_T - q_T) / B."""
    temperature, weight, ce = 3.0, 0.7, 0.4
    values = {"temperature": temperature, "weight": weight, "ce_weight": ce}
    trainer = Trainer(make_task("kd", values, MLP, clip_grad_norm=None), few, teacher)
    batch, seen = first_step(trainer)
    labels = few.train.labels.numpy()[batch.index.numpy()]
    known = labels >= 0
    assert 0 < known.sum() < len(known)
    error = softmax(seen.logits, axis=1)
    error[np.arange(len(known)), labels.clip(0)] -= 1
    targets = error * known[:, None] / (len(known) * LABELLED / len(few.train))
    with torch.no_grad():
        of_teacher = teacher.network(batch.inputs["image"]).numpy()
    apart = softmax(seen.logits / temperature, axis=1) - softmax(of_teacher / temperature, axis=1)
    expected = ce * targets + weight * temperature * apart / len(known)
    np.testing.assert_allclose(seen.gradient, expected, rtol=1e-3, atol=1e-6)
    assert (np.abs(seen.gradient[~known]).sum(axis=1) > 0).all()


def test_a_baseline_is_what_it_is_without_the_others(few: Dataset, make_task: MakeTask) -> None:
    """Their images change nothing, though the epochs are as long as with them."""
    task = make_task("none", model=MLP)
    other = few.train.images.clone()
    other[LABELLED:] = 255 - other[LABELLED:]
    changed = replace(few, train=replace(few.train, inputs={"image": other}))
    one, two = Trainer(task, few), Trainer(task, changed)
    assert [report.scores for report in finish(one)] == [report.scores for report in finish(two)]
    assert_same_weights(one.student, two.student)
    drawn = [batch.index for batch in Trainer(task, few).begin_epoch()]
    assert [len(index) for index in drawn] == [60] * 4
    assert Counter(torch.cat(drawn).tolist()) == dict.fromkeys(range(LABELLED), 4)
    assert len({tuple(index.tolist()) for index in drawn}) == 4


@pytest.mark.parametrize("label", ["kd", "rkd", "weight_copy", "weight_copy+kd"])
def test_who_distils_draws_all_samples(
    few: Dataset, make_task: MakeTask, teacher: Teacher, label: str
) -> None:
    trainer = Trainer(make_task(label, model=MLP | {"width": 1}), few, teacher)
    drawn = {int(place) for batch in trainer.begin_epoch() for place in batch.index}
    assert drawn == set(range(LABELLED if label == "weight_copy" else 240))


@pytest.mark.parametrize("sampling", ["none", "balanced"])
@pytest.mark.parametrize("class_weights", ["none", {"0": 5.0, "1": 0.5}])
def test_the_mean_weight_is_that_of_what_is_drawn(
    few: Dataset, sampling: str, class_weights: Any
) -> None:
    """Over many epochs a drawn sample, counted 0 without a target, has the weight 1."""
    training = TrainingConfig(sampling=sampling, class_weights=class_weights)
    own = torch.rand(240, generator=torch.Generator().manual_seed(0)) + 0.5
    train = replace(few.train, weights=own)
    (head,) = few.problem.heads
    by_class = torch.ones(10)
    if class_weights != "none":
        by_class[0], by_class[1] = 5.0, 0.5
    found = mean_weight(training, train, few.problem, head, by_class)
    labels = drawn_by(train, few.problem)
    orders = [sample_order(training, 3, epoch, labels) for epoch in range(300)]
    each = (labels >= 0) * by_class[labels.clamp(min=0)] * own
    assert found == pytest.approx(float(each[torch.cat(orders)].mean()), rel=0.02)


def test_balanced_sampling_evens_out_the_samples_with_a_class_alone() -> None:
    labels = torch.tensor([0] * 30 + [1] * 6 + [-1] * 64)
    config = TrainingConfig(sampling="balanced")
    orders = torch.cat([sample_order(config, 7, epoch, labels) for epoch in range(400)])
    times = torch.bincount(orders, minlength=100).double()
    assert bool((times[36:] == 400).all())
    assert float(times[:36].sum()) == 36 * 400
    share = float(times[:30].sum() / times[:36].sum())
    assert abs(share - 0.5) < 6 * np.sqrt(0.25 / (36 * 400))
    first = torch.stack([sample_order(config, 7, epoch, labels)[:10] for epoch in range(400)])
    assert abs(float((first >= 36).double().mean()) - 0.64) < 6 * np.sqrt(0.64 * 0.36 / 4000)


def test_an_epoch_goes_through_few_samples_again_in_another_order() -> None:
    labels = torch.arange(10) % 2
    order = sample_order(TrainingConfig(), 1, 0, labels, 25)
    passes = order.split(10)
    assert all(sorted(each.tolist()) == list(range(10)) for each in passes)
    assert len({tuple(each.tolist()) for each in passes}) == 3
    assert torch.equal(passes[0], sample_order(TrainingConfig(), 1, 0, labels))


@pytest.mark.parametrize("settings", [{"sampling": "balanced"}, {"class_weights": "balanced"}, {}])
@pytest.mark.parametrize("augment", [{}, {"mixup": 0.4, "cutmix": 1.0}], ids=["plain", "mixed"])
def test_every_setting_trains_to_finite_scores(
    few: Dataset,
    make_task: MakeTask,
    teacher: Teacher,
    settings: dict[str, Any],
    augment: dict[str, Any],
) -> None:
    for label in ("none", "kd"):
        task = make_task(label, model=MLP, augment=augment, **settings)
        (*_, last) = finish(Trainer(task, few, teacher))
        assert np.isfinite(last.loss)
        assert 0 <= last.scores["accuracy"] <= 1


def test_of_a_few_samples_every_other_has_a_target(few: Dataset) -> None:
    labels = few_samples(few, 32).train.labels
    assert bool((labels[::2] >= 0).all())
    assert bool((labels[1::2] < 0).all())
    rare = replace(few.train, targets={"label": without(few.train.labels, 1)})
    assert int((few_samples(replace(few, train=rare), 8).train.labels >= 0).sum()) == 1


@pytest.mark.parametrize("kind", ["labels", "value"])
def test_labels_and_values_may_be_missing_too(
    digits: Dataset, make_task: MakeTask, kind: Any
) -> None:
    """The gradient is that of the squared error, or of the binary cross-entropy, of the others."""
    gone = torch.arange(240) >= LABELLED
    ink = digits.train.images.double().mean(dim=(1, 2, 3)).float()
    value = ink.masked_fill(gone, torch.nan)
    labels = (
        (torch.stack([ink > 90, ink > 70], dim=1)).float().masked_fill(gone[:, None], torch.nan)
    )
    known = ink[:LABELLED].double()
    names = ("ink",) if kind == "value" else ("dark", "grey")
    mean, std = float(known.mean()), float(known.std(correction=0))
    head = Head("ink", kind, names, mean=mean, std=std, gaps=True)
    splits = {
        name: replace(split, targets={"ink": (value if kind == "value" else labels)[: len(split)]})
        for name, split in (("train", digits.train), ("validation", digits.validation))
    }
    data = replace(digits, **splits, problem=Problem(heads=(head,)))
    trainer = Trainer(make_task("none", model=MLP, clip_grad_norm=None), data)
    batch, seen = first_step(trainer)
    places = batch.index.numpy()
    assert sorted(places) == list(range(LABELLED))
    if kind == "value":
        goal = (ink.numpy()[places] - mean) / std
        expected = 2 * (seen.logits[:, 0] - goal)[:, None] / LABELLED
    else:
        expected = (1 / (1 + np.exp(-seen.logits)) - labels.numpy()[places]) / 2 / LABELLED
    np.testing.assert_allclose(seen.gradient, expected, rtol=1e-3, atol=1e-6)
