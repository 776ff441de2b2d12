"""Scores of a split against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from kdsearch.data import Dataset, Views
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
    pictures = digits.test.images.numpy().astype(np.float32) / 255
    pictures = (pictures - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(pictures.astype(np.float32))).double().numpy()
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
    assert evaluation_sums(network, views, torch.arange(0)).tolist() == [0, 0, 0]


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
