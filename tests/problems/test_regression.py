"""Metrics of a value against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from kdsearch.problems import Metric, Predictions, find_metric
from kdsearch.problems.regression import METRICS


def made(samples: int = 300) -> Predictions:
    generator = np.random.default_rng(1)
    targets = 40 + 12 * generator.normal(size=samples)
    outputs = targets + 5 * generator.normal(size=samples)
    reference = targets + generator.normal(size=samples)
    return Predictions(*(torch.from_numpy(each).float() for each in (outputs, targets, reference)))


EXPECTED = {
    "mae": lambda of: sk.mean_absolute_error(of.targets, of.outputs),
    "rmse": lambda of: sk.root_mean_squared_error(of.targets, of.outputs),
    "r2": lambda of: sk.r2_score(of.targets, of.outputs),
    "teacher_mae": lambda of: sk.mean_absolute_error(of.reference, of.outputs),
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_that_of_scikit_learn(metric: Metric) -> None:
    of = made()
    assert find_metric(metric.name)(of) == pytest.approx(EXPECTED[metric.name](of), rel=1e-5)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_perfect_network_has_the_least_loss(metric: Metric) -> None:
    of = made()
    perfect = Predictions(of.targets, of.targets, of.targets)
    assert metric.loss(metric(perfect)) == pytest.approx(0.0, abs=1e-9)
    assert metric.loss(metric(of)) > 0.0


def test_a_value_that_never_differs_has_no_share_that_is_explained() -> None:
    same = Predictions(torch.randn(5), torch.full((5,), 3.0))
    assert math.isnan(find_metric("r2")(same))
