"""Metrics of labels against scikit-learn, and against loops where it has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn import metrics as sk

from kdsearch.problems import Metric, Predictions, find_metric
from kdsearch.problems.multilabel import METRICS

LABELS = 5


def made(missing: float = 0.0, seed: int = 0) -> Predictions:
    """Random logits that are right more often than not; some labels may be missing."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((200, LABELS)) < [0.1, 0.3, 0.5, 0.7, 0.05]).astype(np.float32)
    logits = generator.normal(size=targets.shape) + 1.2 * (2 * targets - 1)
    reference = logits + generator.normal(size=logits.shape)
    targets[generator.random(targets.shape) < missing] = np.nan
    tensors = (torch.from_numpy(each).float() for each in (logits, targets, reference))
    return Predictions(*tensors)


def calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        inside = (probability > b / 15) & (probability <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(truth[inside].mean() - probability[inside].mean())
    return total


def expected(name: str, of: Predictions) -> float:
    """The score by another library, or by hand."""
    logits, targets = of.outputs.double().numpy(), of.targets.double().numpy()
    assert of.reference is not None
    known = ~np.isnan(targets)
    columns = [(targets[known[:, k], k], logits[known[:, k], k]) for k in range(LABELS)]
    flat, truth = logits[known], targets[known]
    right = ((logits > 0) == (targets == 1)) | ~known
    return {
        "mean_average_precision": lambda: np.mean(
            [sk.average_precision_score(y, expit(z)) for y, z in columns]
        ),
        "multilabel_f1": lambda: np.mean([sk.f1_score(y, z > 0) for y, z in columns]),
        "multilabel_auroc": lambda: np.mean([sk.roc_auc_score(y, z) for y, z in columns]),
        "exact_match": lambda: np.mean([row.all() for row in right]),
        "multilabel_accuracy": lambda: sk.accuracy_score(truth, flat > 0),
        "multilabel_nll": lambda: sk.log_loss(truth, expit(flat)),
        "multilabel_ece": lambda: calibration_error(expit(flat), truth),
        "multilabel_agreement": lambda: np.mean(
            (logits > 0)[known] == (of.reference.numpy() > 0)[known]
        ),
    }[name]()


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_each_metric_is_that_of_another_implementation(name: str, missing: float) -> None:
    of = made(missing)
    assert bool(of.targets.isnan().any()) == bool(missing)
    assert find_metric(name)(of) == pytest.approx(expected(name, of), rel=1e-5)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_perfect_network_has_the_least_loss(metric: Metric) -> None:
    targets = made().targets
    sure = 60 * (2 * targets - 1)
    assert metric.loss(metric(Predictions(sure, targets, sure))) == pytest.approx(0, abs=1e-6)
    assert metric.loss(metric(Predictions(-sure, targets, sure))) > 0.5


def test_a_label_that_nobody_has_is_left_out() -> None:
    of = made()
    of.targets[:, 2] = 0
    of.outputs[:, 2] = -5
    others = [0, 1, 3, 4]
    without = Predictions(of.outputs[:, others], of.targets[:, others])
    for name in ("mean_average_precision", "multilabel_f1", "multilabel_auroc"):
        assert find_metric(name)(of) == pytest.approx(find_metric(name)(without))


def test_labels_that_no_sample_tells_are_left_out() -> None:
    of = made(0.2)
    of.targets[:, [1, 4]] = np.nan
    others = [0, 2, 3]
    assert of.reference is not None
    rest = Predictions(of.outputs[:, others], of.targets[:, others], of.reference[:, others])
    for metric in METRICS:
        assert metric(of) == pytest.approx(metric(rest))
    one = Predictions(of.outputs, of.targets.clone())
    one.targets[:, 1:] = np.nan
    known = ~one.targets[:, 0].isnan()
    truth, logits = one.targets[known, 0].numpy(), one.outputs[known, 0].numpy()
    found = find_metric("mean_average_precision")(one)
    assert found == pytest.approx(sk.average_precision_score(truth, logits))
    assert find_metric("multilabel_f1")(one) == pytest.approx(sk.f1_score(truth, logits > 0))
    assert find_metric("multilabel_auroc")(one) == pytest.approx(sk.roc_auc_score(truth, logits))


def test_sure_logits_keep_their_order() -> None:
    """As float32 probabilities, those from 17 on are all 1."""
    of = Predictions(
        torch.tensor([[20.0], [30.0], [40.0], [-5.0]]), torch.tensor([[0.0], [0.0], [1.0], [0.0]])
    )
    assert find_metric("mean_average_precision")(of) == 1.0
    assert find_metric("multilabel_auroc")(of) == 1.0
    assert find_metric("multilabel_f1")(of) == pytest.approx(0.5)
