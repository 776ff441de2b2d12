"""Scores of a split against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, recall_score

from kdsearch.data import Dataset, Split, Views
from kdsearch.models import Network, build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.evaluation import evaluation_sums, summarise


@pytest.fixture
def network(digits: Dataset) -> Network:
    torch.manual_seed(3)
    config = ModelConfig(family="convnet", width=0.5, depth=2)
    return build_network(config, digits.image_shape, len(digits.classes))


@pytest.fixture
def views(digits: Dataset) -> Views:
    return Views(digits.test, digits.mean, digits.std, None, seed=0)


def test_accuracy_and_nll_are_scikit_learns(
    network: Network, views: Views, digits: Dataset
) -> None:
    images = digits.test.images.numpy().astype(np.float32) / 255
    images = (images - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(images.astype(np.float32))).double().numpy()
    likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    labels = digits.test.labels.numpy()

    found = summarise(evaluation_sums(network, views, torch.arange(len(views))))
    assert found.accuracy == accuracy_score(labels, logits.argmax(axis=1))
    assert found.nll == pytest.approx(log_loss(labels, likelihood, labels=range(10)), rel=1e-5)


def test_the_batch_size_does_not_matter(network: Network, views: Views) -> None:
    index = torch.arange(len(views))
    whole = evaluation_sums(network, views, index)
    parts = evaluation_sums(network, views, index, batch=37)
    torch.testing.assert_close(whole, parts, rtol=1e-6, atol=0)


def test_shares_of_a_split_add_up_to_it(network: Network, views: Views) -> None:
    index = torch.arange(len(views))
    parts = [evaluation_sums(network, views, index[rank::3]) for rank in range(3)]
    whole = evaluation_sums(network, views, index)
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), whole, rtol=1e-6, atol=0)
    assert float(whole[2]) == len(views)


def test_a_worker_without_a_sample_counts_nothing(network: Network, views: Views) -> None:
    assert not evaluation_sums(network, views, torch.arange(0)).any()


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_mode_buffers_and_gradients_alone(
    network: Network, views: Views, training: bool
) -> None:
    network.train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluation_sums(network, views, torch.arange(64))
    assert all(part.training is training for part in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def logits_of(network: Network, views: Views) -> np.ndarray:
    images, _ = views.batch(torch.arange(len(views)), 0)
    with torch.no_grad():
        return network.eval()(images).double().numpy()


def test_calibration_error_is_that_of_a_loop_over_bins(
    network: Network, views: Views, digits: Dataset
) -> None:
    # logits scaled so that the bins are filled from low to high confidence
    with torch.no_grad():
        network.classifier.weight.mul_(40)
    probabilities = softmax(logits_of(network, views), axis=1)
    confidence, answers = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = answers == digits.test.labels.numpy()
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = summarise(evaluation_sums(network, views, torch.arange(len(views))))
    assert len({int(c * 15) for c in confidence}) > 5
    assert found.ece == pytest.approx(expected, rel=1e-5)


def test_a_sure_and_right_network_is_calibrated(views: Views, digits: Dataset) -> None:
    class Oracle(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            start = self.done
            self.done += len(images)
            labels = digits.test.labels[start : self.done]
            return 50.0 * torch.nn.functional.one_hot(labels, 10).float()

    oracle = Oracle()
    oracle.done = 0
    found = summarise(evaluation_sums(oracle, views, torch.arange(len(views))))
    assert (found.accuracy, found.ece) == (1.0, pytest.approx(0.0, abs=1e-6))


def test_agreement_and_divergence_from_a_reference(network: Network, views: Views) -> None:
    own = logits_of(network, views)
    reference = own + np.random.default_rng(0).normal(size=own.shape)
    p_r, p_s = softmax(reference, axis=1), softmax(own, axis=1)
    index = torch.arange(len(views))
    sums = evaluation_sums(network, views, index, torch.from_numpy(reference))
    found = summarise(sums, compared=True)
    assert found.agreement == pytest.approx((own.argmax(1) == reference.argmax(1)).mean())
    assert found.kl == pytest.approx((p_r * np.log(p_r / p_s)).sum(axis=1).mean(), rel=1e-4)
    same = summarise(evaluation_sums(network, views, index, torch.from_numpy(own)), compared=True)
    assert (same.agreement, same.kl) == (1.0, pytest.approx(0.0, abs=1e-6))


def test_without_a_reference_nothing_is_said_of_one(network: Network, views: Views) -> None:
    found = summarise(evaluation_sums(network, views, torch.arange(len(views))))
    assert found.agreement is None
    assert found.as_dict().keys() == {"accuracy", "nll", "ece"}


def test_balanced_accuracy_is_scikit_learns_where_a_class_is_large(
    network: Network, digits: Dataset
) -> None:
    plain = Views(digits.test, digits.mean, digits.std, None, seed=0)
    even = summarise(evaluation_sums(network, plain, torch.arange(len(plain))))
    assert even.balanced_accuracy is None
    assert "balanced_accuracy" not in even.as_dict()

    labels = digits.test.labels.clone()
    labels[len(labels) // 4 :] = 3
    labels[labels == 5] = 6  # a class without samples does not count
    views = Views(Split(digits.test.images, labels), digits.mean, digits.std, None, seed=0)
    index = torch.arange(len(views))
    with torch.no_grad():
        predicted = network.eval()(views.images(index, 0)).argmax(dim=1)
    parts = [evaluation_sums(network, views, index[rank::3]) for rank in range(3)]
    found = summarise(torch.stack(parts).sum(dim=0))
    expected = recall_score(
        labels, predicted, labels=labels.unique(), average="macro", zero_division=0
    )
    assert found.balanced_accuracy == pytest.approx(expected)
