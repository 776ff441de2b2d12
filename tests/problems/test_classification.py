"""Metrics of classification against scikit-learn, and against loops where it has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as sk

from kdsearch.problems import CLASSIFICATION, Metric, Predictions, Problem, find_metric
from kdsearch.problems.classification import METRICS, USUAL

CLASSES = 7


def made(samples: int = 200, seed: int = 0, missing: int | None = None) -> Predictions:
    """Random logits that are right more often than not; of one class there may be no sample."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(CLASSES, size=samples)
    if missing is not None:
        labels[labels == missing] = (missing + 1) % CLASSES
    logits = generator.normal(size=(samples, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    reference = logits + generator.normal(size=logits.shape)
    return Predictions(
        torch.from_numpy(logits).float(),
        torch.from_numpy(labels),
        torch.from_numpy(reference).float(),
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def expected(name: str, of: Predictions) -> float:
    """The score by another library, or by hand."""
    logits, labels = of.outputs.double().numpy(), of.targets.numpy()
    assert of.reference is not None
    probabilities, predicted = softmax(logits, axis=1), logits.argmax(axis=1)
    teacher = softmax(of.reference.double().numpy(), axis=1)
    there, known = np.unique(labels), range(CLASSES)
    recalls = sk.recall_score(labels, predicted, labels=there, average=None, zero_division=0)
    areas = [sk.roc_auc_score(labels == k, probabilities[:, k]) for k in there]
    return {
        "accuracy": lambda: sk.accuracy_score(labels, predicted),
        "top5_accuracy": lambda: sk.top_k_accuracy_score(labels, logits, k=5, labels=known),
        "balanced_accuracy": lambda: np.mean(recalls),
        "worst_class_recall": lambda: np.min(recalls),
        "macro_f1": lambda: sk.f1_score(labels, predicted, average="macro"),
        "auroc": lambda: np.mean(areas),
        "nll": lambda: sk.log_loss(labels, probabilities, labels=known),
        "ece": lambda: calibration_error(probabilities, labels),
        "agreement": lambda: np.mean(predicted == teacher.argmax(axis=1)),
        "kl": lambda: np.mean((teacher * np.log(teacher / probabilities)).sum(axis=1)),
    }[name]()


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
@pytest.mark.parametrize("missing", [None, 6])
def test_each_metric_is_that_of_another_implementation(name: str, missing: int | None) -> None:
    of = made(missing=missing)
    assert find_metric(name)(of) == pytest.approx(expected(name, of), rel=1e-5)


@given(seed=st.integers(0, 10_000), samples=st.integers(2, 40))
def test_scores_lie_in_their_range_and_losses_are_never_negative(seed: int, samples: int) -> None:
    of = made(samples, seed)
    for metric in METRICS:
        value = metric(of)
        if np.isnan(value):  # an area without a class that is there and not alone
            assert metric.name == "auroc"
            continue
        assert value >= -1e-9
        assert metric.highest is None or value <= 1 + 1e-6
        assert metric.loss(value) >= -1e-6
        assert metric.from_loss(metric.loss(value)) == pytest.approx(value)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_perfect_network_has_the_least_loss(metric: Metric) -> None:
    labels = torch.arange(CLASSES).repeat(5)
    sure = 60.0 * torch.nn.functional.one_hot(labels, CLASSES).float()
    assert metric.loss(metric(Predictions(sure, labels, sure))) == pytest.approx(0.0, abs=1e-6)
    wrong = sure.roll(1, dims=1)
    if metric.name != "top5_accuracy":
        assert metric.loss(metric(Predictions(wrong, labels, sure))) > 0.5


def test_few_classes_are_all_among_the_five_best() -> None:
    of = Predictions(torch.randn(8, 3), torch.zeros(8, dtype=torch.long))
    assert find_metric("top5_accuracy")(of) == 1.0


def test_a_study_has_the_usual_metrics_as_far_as_they_are_of_use() -> None:
    of = made()
    alone = Predictions(of.outputs, of.targets)
    assert CLASSIFICATION.scores({"label": of}).keys() == set(USUAL) - {"balanced_accuracy"}
    assert CLASSIFICATION.scores({"label": alone}).keys() == {"accuracy", "nll", "ece"}
    assert Problem(("balanced_accuracy", "auroc")).scores({"label": alone}).keys() == {
        "accuracy",
        "nll",
        "ece",
        "balanced_accuracy",
        "auroc",
    }


@pytest.mark.parametrize(
    ("counts", "there"), [([51, 13, 12, 24], True), ([50, 50], False), ([80, 20], True)]
)
def test_balanced_accuracy_stands_where_a_class_is_large(counts: list[int], there: bool) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    of = Predictions(torch.randn(len(labels), len(counts)), labels)
    assert ("balanced_accuracy" in CLASSIFICATION.scores({"label": of})) is there
