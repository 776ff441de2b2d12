"""A trained network takes samples as they are, and answers in the units of the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Views
from kdsearch.data.dataset import Split
from kdsearch.errors import RunError
from kdsearch.graphs.samples import SampleNetwork, samples_of
from kdsearch.graphs.scores import scores_of
from kdsearch.models import build_network
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import DataSection
from kdsearch.training.evaluation import evaluate
from tests.graphs.networks import NUMBERS, PRICE, sample_network, samples


def test_outputs_are_those_of_the_network_on_normalised_samples() -> None:
    module = sample_network("mlp", NUMBERS, (PRICE,))
    given = samples(NUMBERS, 6)["numbers"]
    scale = module.scales["numbers"]
    normalised = (given - np.array(scale.mean)) / np.array(scale.std)
    with torch.no_grad():
        found = module(torch.from_numpy(given))
        inner = module.network(torch.from_numpy(normalised).float())
    torch.testing.assert_close(found, inner * PRICE.std + PRICE.mean)


@pytest.mark.parametrize(("most", "count"), [(None, 449), (100, 100), (449, 449), (9999, 449)])
def test_samples_spread_over_a_split(most: int | None, count: int, digits: Dataset) -> None:
    found = samples_of(digits.test, ["image"], most)["image"]
    assert found.dtype == np.uint8
    assert len(found) == count
    assert (found[0] == digits.test.images[0].numpy()).all()
    if most == 100:
        assert (found[99] == digits.test.images[444].numpy()).all()


def test_scores_are_those_of_the_network(digits: Dataset) -> None:
    network = build_network(ModelConfig(family="convnet", depth=1), digits.inputs, 10).eval()
    module = SampleNetwork.of(network, digits, DataSection(source="digits")).eval()
    with torch.no_grad():
        outputs = module(digits.test.images).numpy()
    expected = evaluate(network, Views(digits.test, digits.scales, None, 0), digits.problem)
    assert scores_of(outputs, digits.test, digits.problem) == pytest.approx(expected)


def test_scores_of_values_are_in_their_own_unit() -> None:
    targets = torch.tensor([200_000.0, 300_000.0, 100_000.0])
    split = Split({"numbers": torch.zeros(3, 4, dtype=torch.float64)}, {"price": targets})
    outputs = (targets + torch.tensor([1000.0, -1000.0, 4000.0]))[:, None].numpy()
    found = scores_of(outputs, split, Problem(heads=(PRICE,)))
    assert found["mae"] == pytest.approx(2000)
    with pytest.raises(RunError, match="infinite or no number"):
        scores_of(outputs * np.inf, split, Problem(heads=(PRICE,)))
