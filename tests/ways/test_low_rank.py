"""Layers as products of smaller ones, against SVD and Tucker-2 in NumPy."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from kdsearch.errors import ModelError
from kdsearch.models import measure
from kdsearch.ways.low_rank import LowRank, factorise, factors
from tests.ways.networks import made


def test_a_matrix_becomes_the_nearest_of_its_rank() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 16)
    parts = nn.Sequential(*factors(layer, 0.25))
    factorise(layer, parts)
    left, values, right = np.linalg.svd(layer.weight.detach().double().numpy())
    nearest = (left[:, :4] * values[:4]) @ right[:4]
    product = parts[1].weight @ parts[0].weight
    np.testing.assert_allclose(product.detach().numpy(), nearest, atol=1e-6)
    assert torch.equal(parts[1].bias, layer.bias)


@pytest.mark.parametrize("kernel", [1, 3])
def test_at_full_rank_a_convolution_computes_the_same(kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 8, kernel, stride=2, padding=kernel // 2)
    parts = nn.Sequential(*factors(layer, 1.0))
    factorise(layer, parts)
    images = torch.randn(3, 6, 9, 9)
    torch.testing.assert_close(parts(images), layer(images), atol=1e-5, rtol=1e-5)


def test_a_convolution_keeps_the_leading_vectors_of_inputs_and_outputs() -> None:
    """The core is the weight's projection, computed index by index (Kim et al. 2016, eq. 2)."""
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 7, 3, bias=False)
    parts = nn.Sequential(*factors(layer, 0.4))
    factorise(layer, parts)
    first, core, last = (part.weight.detach().double().numpy() for part in parts)
    weight = layer.weight.detach().double().numpy()
    by_output = np.linalg.svd(weight.reshape(7, -1))[0][:, :3]
    by_input = np.linalg.svd(weight.transpose(1, 0, 2, 3).reshape(5, -1))[0][:, :2]
    projected = np.einsum(
        "pq,qixy,ij->pjxy", by_output @ by_output.T, weight, by_input @ by_input.T
    )
    product = np.einsum("pr,rsxy,sj->pjxy", last[:, :, 0, 0], core, first[:, :, 0, 0])
    np.testing.assert_allclose(product, projected, atol=1e-6)


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "mlp"])
def test_a_network_is_smaller_and_near_at_high_rank(family: str) -> None:
    whole = made(family, 1.0)
    losses = []
    for rank in (0.1, 0.2, 0.4):
        way, network = LowRank(rank=rank), deepcopy(whole)
        way.check(network)
        way.reshape(network)
        way.fill(network, whole)
        assert measure(network).parameters < measure(whole).parameters
        assert measure(network).macs < measure(whole).macs
        images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            known, found = whole(images), network(images)
        losses.append(float((known - found).square().mean() / known.square().mean()))
    assert losses[2] < losses[0]
    assert network.head is not None
    assert isinstance(network.head, nn.Linear)


def test_a_rank_that_saves_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="no layer has fewer weights than before"):
        LowRank(rank=0.95).check(made("mlp", 0.1))
    with pytest.raises(ModelError, match=r"low_rank: 'rank' must be at most 0.99, not 1"):
        LowRank(rank=1.0)
    with pytest.raises(ModelError, match="low_rank has no hyperparameter 'ranks'; did you mean"):
        LowRank(ranks=0.5)
