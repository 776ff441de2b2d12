"""What evens the classes out: against scikit-learn, torch's own loss, and frequencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from kdsearch.data import Dataset, Split
from kdsearch.errors import DataError
from kdsearch.methods.targets import Targets
from kdsearch.models import Signals
from kdsearch.problems import Head, Problem
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.training.class_balance import class_weights, mean_weight, sample_order
from kdsearch.training.few_steps import few_samples
from kdsearch.training.initial import initial_student, make_objective
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

LABELS = torch.tensor([0] * 60 + [1] * 25 + [2] * 15)
NAMES = ("ant", "bee", "cow")
HEAD = Head(names=NAMES)
PROBLEM = Problem(heads=(HEAD,))


def training(**settings: Any) -> TrainingConfig:
    return TrainingConfig(**settings)


def split(weights: Tensor | None = None) -> Split:
    return Split.of_classes(torch.zeros(100, 1, 2, 2, dtype=torch.uint8), LABELS, weights)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    found = class_weights(training(class_weights="balanced"), LABELS, NAMES)
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_a_class_without_samples_does_not_change_the_others() -> None:
    without = class_weights(training(class_weights="balanced"), LABELS, NAMES)
    found = class_weights(training(class_weights="balanced"), LABELS, (*NAMES, "dog"))
    assert found is not None
    assert without is not None
    assert found.tolist() == [*without.tolist(), 1.0]


def test_weights_by_name_leave_the_others_at_one() -> None:
    given = training(class_weights={"cow": 4, "ant": 0.5})
    found = class_weights(given, LABELS, NAMES)
    assert found is not None
    assert found.tolist() == [0.5, 1.0, 4.0]
    assert class_weights(training(), LABELS, NAMES) is None


def test_an_unknown_class_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match="the data have no class 'cwo'; did you mean 'cow'"):
        class_weights(training(class_weights={"ant": 1, "cwo": 4}), LABELS, NAMES)


def test_the_mean_weight_is_that_of_the_samples_that_are_drawn() -> None:
    own = torch.arange(100, dtype=torch.float32)
    by_class = np.array([0.5, 1.0, 4.0])
    each = by_class[LABELS.numpy()] * own.numpy()
    weights = torch.tensor(by_class).float()
    uniform, balanced = training(), training(sampling="balanced")
    assert mean_weight(uniform, split(own), PROBLEM, HEAD, weights) == pytest.approx(each.mean())
    expected = np.mean([each[:60].mean(), each[60:85].mean(), each[85:].mean()])
    assert mean_weight(balanced, split(own), PROBLEM, HEAD, weights) == pytest.approx(expected)
    for config in (uniform, balanced):
        assert mean_weight(config, split(), PROBLEM, HEAD, None) == 1.0
    even = class_weights(training(class_weights="balanced"), LABELS, NAMES)
    assert mean_weight(uniform, split(), PROBLEM, HEAD, even) == pytest.approx(1.0, rel=1e-6)


def test_balanced_sampling_draws_each_class_and_each_of_its_samples_alike() -> None:
    config = training(sampling="balanced")
    orders = [sample_order(config, 7, epoch, LABELS) for epoch in range(400)]
    assert all(len(order) == 100 for order in orders)
    drawn = torch.bincount(torch.cat(orders), minlength=100).double().numpy() / 40_000
    for sizes, part in ((60, drawn[:60]), (25, drawn[60:85]), (15, drawn[85:])):
        # six standard deviations of a binomial share
        assert abs(part.sum() - 1 / 3) < 6 * np.sqrt(2 / 9 / 40_000)
        share = 1 / 3 / sizes
        assert np.abs(part - share).max() < 6 * np.sqrt(share / 40_000)


def test_sampling_is_a_pure_function_of_seed_and_epoch() -> None:
    config = training(sampling="balanced")
    first = sample_order(config, 7, 3, LABELS)
    assert torch.equal(first, sample_order(config, 7, 3, LABELS))
    assert not torch.equal(first, sample_order(config, 7, 4, LABELS))
    assert not torch.equal(first, sample_order(config, 8, 3, LABELS))
    plain = sample_order(training(), 7, 3, LABELS)
    assert plain.sort().values.tolist() == list(range(100))


def test_the_loss_over_the_training_split_is_torchs_own(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    """torch divides by the batch's weights, which over the whole split are the split's."""
    uneven = digits.train.take(torch.nonzero(digits.train.labels < 4).flatten()[:80])
    data = replace(digits, train=uneven)
    logits = torch.randn(len(uneven), 10, generator=torch.Generator().manual_seed(0))
    for given in ("balanced", {"0": 3.0, "3": 0.25}):
        task = make_task(class_weights=given, label_smoothing=0.1)
        objective = make_objective(task, data, initial_student(task, data), None)
        weights = class_weights(task.training, uneven.labels, data.classes)
        own = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1)
        targets = {"label": Targets(uneven.labels)}
        found = objective(Signals(logits=logits), None, targets, 0.0)["ce"]
        torch.testing.assert_close(found, own(logits, uneven.labels))


def test_a_short_try_of_samples_without_weight_is_finite(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    weights = torch.zeros(len(digits.train))
    weights[0] = 1.0
    data = few_samples(replace(digits, train=replace(digits.train, weights=weights)), 8)
    assert data.train.weights is not None
    task = make_task(epochs=1, batch_size=4, class_weights="balanced")
    assert np.isfinite(Trainer(task, data).train_epoch().loss)
