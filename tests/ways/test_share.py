"""Blocks that have the same weights."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from kdsearch.errors import ModelError
from kdsearch.models import measure
from kdsearch.ways.share import Share
from tests.ways.networks import made


def test_blocks_share_convolutions_and_keep_their_normalisation() -> None:
    """A resnet of 26 layers has 4 blocks a stage, of which the last 3 are alike."""
    whole = made("resnet", 0.5, 26)
    network, way = deepcopy(whole), Share(blocks=3)
    way.check(network)
    way.reshape(network)
    way.fill(network, whole)
    names = [name for name, _ in network.named_parameters()]
    lost = [name for name, _ in whole.named_parameters() if name not in names]
    assert lost
    assert all("conv" in name for name in lost)
    weights = sum(dict(whole.named_parameters())[name].numel() for name in lost)
    assert measure(network).parameters == measure(whole).parameters - weights
    assert measure(network).bytes == measure(whole).bytes - 4 * weights
    assert measure(network).macs == measure(whole).macs
    for name in names:
        assert torch.equal(network.get_parameter(name), whole.get_parameter(name))


def test_gradients_of_all_blocks_meet_in_the_shared_weight() -> None:
    whole = made("mlp", 0.5, 3)
    network = deepcopy(whole)
    Share(blocks=2).reshape(network)
    first, second = network.stages[0], network.stages[1]  # all of 64 units
    assert first.weight is second.weight
    images = torch.randn(4, 1, 8, 8)
    network(images).sum().backward()
    apart = deepcopy(whole)
    apart.stages[1].load_state_dict(apart.stages[0].state_dict())
    apart(images).sum().backward()
    both = apart.stages[0].weight.grad + apart.stages[1].weight.grad
    torch.testing.assert_close(first.weight.grad, both)


@pytest.mark.parametrize(("family", "depth"), [("convnet", 3), ("resnet", 8), ("mlp", 1)])
def test_a_network_without_blocks_alike_is_refused(family: str, depth: int) -> None:
    with pytest.raises(ModelError, match="no two blocks alike follow each other"):
        Share().check(made(family, 0.5, depth))
