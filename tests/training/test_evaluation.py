"""Scores of a split, whatever the batches and workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from kdsearch.data import Dataset, Views
from kdsearch.errors import DivergedError
from kdsearch.models import Network, build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.evaluation import evaluate, predict
from kdsearch.training.ranks import Ranks


@pytest.fixture
def network(digits: Dataset) -> Network:
    torch.manual_seed(3)
    config = ModelConfig(family="convnet", width=0.5, depth=2)
    return build_network(config, digits.inputs, len(digits.classes))


@pytest.fixture
def views(digits: Dataset) -> Views:
    return Views(digits.test, digits.scales, None, seed=0)


def test_accuracy_and_nll_are_scikit_learns(
    network: Network, views: Views, digits: Dataset
) -> None:
    images = digits.test.images.numpy().astype(np.float32) / 255
    images = (images - digits.scales["image"].mean[0]) / digits.scales["image"].std[0]
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(images.astype(np.float32))).double().numpy()
    likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
    likelihood /= likelihood.sum(axis=1, keepdims=True)
    labels = digits.test.labels.numpy()

    found = evaluate(network, views, digits.problem)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(axis=1)))
    assert found["nll"] == pytest.approx(log_loss(labels, likelihood, labels=range(10)), rel=1e-5)
    assert found.keys() == {"accuracy", "nll", "ece"}


def test_the_batch_size_does_not_matter(network: Network, views: Views) -> None:
    index = torch.arange(len(views))
    whole, parts = predict(network, views, index), predict(network, views, index, batch=37)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)


class OneOfThree(Ranks):
    """A worker whose fellows' rows are known."""

    def __init__(self, rank: int, rows: dict[int, torch.Tensor]) -> None:
        super().__init__(rank, 3)
        object.__setattr__(self, "rows", rows)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        rows: dict[int, torch.Tensor] = self.rows  # type: ignore[attr-defined]
        rows[self.rank] = values.clone()
        return torch.stack(list(rows.values())).sum(dim=0)


def test_workers_shares_of_a_split_add_up_to_it(
    network: Network, views: Views, digits: Dataset
) -> None:
    rows: dict[int, torch.Tensor] = {}
    found = [evaluate(network, views, digits.problem, None, OneOfThree(r, rows)) for r in range(3)]
    for name, score in evaluate(network, views, digits.problem).items():
        assert found[-1][name] == pytest.approx(score, rel=1e-6)


def test_a_worker_without_a_sample_adds_none(network: Network, views: Views) -> None:
    assert predict(network, views, torch.arange(0)).shape == (0, 10)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_mode_buffers_and_gradients_alone(
    network: Network, views: Views, digits: Dataset, training: bool
) -> None:
    network.train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(network, views, digits.problem)
    assert all(part.training is training for part in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_reference_is_compared_with_sample_by_sample(
    network: Network, views: Views, digits: Dataset
) -> None:
    own = predict(network, views, torch.arange(len(views)))
    same = evaluate(network, views, digits.problem, own)
    assert (same["agreement"], same["kl"]) == (1.0, pytest.approx(0.0, abs=1e-6))
    other = evaluate(network, views, digits.problem, own.roll(1, dims=0))
    agreed = (own.argmax(1) == own.roll(1, dims=0).argmax(1)).double().mean()
    assert other["agreement"] == pytest.approx(float(agreed))


def test_outputs_that_are_no_numbers_have_no_score(
    network: Network, views: Views, digits: Dataset
) -> None:
    with torch.no_grad():
        network.classifier.bias[3] = torch.nan
    with pytest.raises(DivergedError, match="infinite or no number"):
        evaluate(network, views, digits.problem)
