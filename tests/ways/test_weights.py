"""Ways that change how weights are stored: their form, their bytes, and what is read again."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.ways import Way
from kdsearch.ways.base import weighted_layers
from kdsearch.ways.bits import pack_bits, unpack_bits
from kdsearch.ways.codebook import Codebook
from kdsearch.ways.constraints import settle
from kdsearch.ways.quantize import Quantize
from kdsearch.ways.sparse import Sparse, TwoOfFour
from tests.ways.networks import made

STEPS = 40
WAYS = [
    Sparse(sparsity=0.7),
    TwoOfFour(),
    Codebook(entries=4),
    Codebook(entries=16, after=0.2),
    Quantize(bits=8),
    Quantize(bits=4),
    Quantize(bits=3),
]


def told(way: Way) -> str:
    return f"{way.name}-{'-'.join(f'{value:g}' for value in way.values.values())}"


def trained(way: Way, network: nn.Module, steps: int = STEPS) -> nn.Module:
    """A network after some steps of gradient descent towards random outputs."""
    network = deepcopy(network).train()
    way.constrain(network)
    random = torch.Generator().manual_seed(0)
    images, targets = torch.randn(16, 1, 8, 8, generator=random), torch.arange(16) % 10
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
        way.step(network, step + 1, steps)
    return network.eval()


def weights(way: Way, network: nn.Module) -> dict[str, Tensor]:
    return {name: layer.weight.detach() for name, layer in way.layers(network)}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return made("convnet", 0.5, 3)


@pytest.mark.parametrize("way", WAYS, ids=told)
def test_what_is_stored_is_read_again_to_the_bit(way: Way, network: nn.Module) -> None:
    after = trained(way, network)
    held = weights(way, after)
    settle(after)
    for name, layer in way.layers(after):
        assert torch.equal(layer.weight, held[name]), "settled otherwise than trained"
        assert type(layer.weight) is nn.Parameter
        parts, shape = way.pack(layer.weight.detach()), tuple(layer.weight.shape)
        assert torch.equal(way.unpack(parts, shape), layer.weight)
        stored = sum(part.numel() * part.element_size() for part in parts.values())
        assert stored == way.packed_bytes(shape, 4)
        assert stored < 4 * layer.weight.numel()
    assert after.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("way", WAYS, ids=told)
def test_every_trained_weight_moves(way: Way, network: nn.Module) -> None:
    """Gradients reach the weights in every form, but where they are masked."""
    after = trained(way, network)
    settle(after)
    for name, value in network.named_parameters():
        assert not torch.equal(after.get_parameter(name), value), name


@pytest.mark.parametrize("way", WAYS, ids=told)
def test_the_form_holds_from_when_it_is_due(way: Way, network: nn.Module) -> None:
    """Before, weights are as ever: so a long part of the training is that of any student."""
    begins = way.values.get("after")
    if begins is None:
        return
    steps = round(begins * STEPS) - 1
    early = deepcopy(network)
    way.constrain(early)
    way.step(early, steps, STEPS)
    for name, layer in way.layers(early):
        assert torch.equal(layer.weight, network.get_submodule(name).weight)
    way.step(early, steps + 1, STEPS)
    assert any(
        not torch.equal(layer.weight, network.get_submodule(name).weight)
        for name, layer in way.layers(early)
    )


def test_the_smallest_weights_of_each_layer_are_zero(network: nn.Module) -> None:
    way = Sparse(sparsity=0.7, until=0.5)
    constrained = deepcopy(network)
    way.constrain(constrained)
    for done, share in ((10, 0.7 * (1 - 0.5**3)), (20, 0.7), (40, 0.7)):
        way.step(constrained, done, STEPS)
        for name, layer in way.layers(constrained):
            values = network.get_submodule(name).weight.detach().numpy().ravel()
            zeros = round(share * values.size) if share < 0.7 else round(0.7 * values.size)
            found = layer.weight.detach().numpy().ravel()
            assert abs(int((found == 0).sum()) - zeros) <= 1
            kept = np.abs(values[found != 0])
            assert kept.min() >= np.abs(values[found == 0]).max()


def test_two_of_every_four_weights_of_a_channel_are_kept(network: nn.Module) -> None:
    way, constrained = TwoOfFour(), deepcopy(network)
    way.constrain(constrained)
    way.step(constrained, STEPS, STEPS)
    for name, layer in way.layers(constrained):
        whole = network.get_submodule(name).weight.detach().numpy().reshape(-1, 4)
        fours = layer.weight.detach().numpy().reshape(-1, 4)
        for before, after in zip(whole, fours, strict=True):
            best = set(np.argsort(-np.abs(before))[:2].tolist())
            assert set(np.flatnonzero(after).tolist()) == best


def test_codes_are_those_of_k_means(network: nn.Module) -> None:
    """No weight is nearer to another value than to its own, and values are means (Lloyd)."""
    way, constrained = Codebook(entries=8), deepcopy(network)
    way.constrain(constrained)
    way.step(constrained, 20, STEPS)
    for name, layer in way.layers(constrained):
        whole = network.get_submodule(name).weight.detach().double().numpy().ravel()
        found = layer.weight.detach().double().numpy().ravel()
        values = np.unique(found)
        assert len(values) <= 8
        for value in values:
            np.testing.assert_allclose(whole[found == value].mean(), value, atol=1e-5)
        nearest = np.abs(whole[:, None] - values).min(axis=1)
        assert (np.abs(whole - found) <= nearest + 5e-3 * np.ptp(whole)).mean() > 0.99


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_are_rounded_by_output_channel(network: nn.Module, bits: int) -> None:
    way, constrained = Quantize(bits=bits), deepcopy(network)
    way.constrain(constrained)
    way.step(constrained, STEPS // 2, STEPS)
    most = 2 ** (bits - 1) - 1
    for name, layer in way.layers(constrained):
        whole = network.get_submodule(name).weight.detach().double().numpy()
        whole = whole.reshape(len(whole), -1)
        found = layer.weight.detach().double().numpy().reshape(whole.shape)
        scale = np.abs(whole).max(axis=1, keepdims=True) / most
        assert np.abs(found - whole).max() <= 0.5001 * scale.max()
        numbers = found / scale
        np.testing.assert_allclose(numbers, numbers.round(), atol=most * 2.0**-14)


def test_impossible_values_are_refused(network: nn.Module) -> None:
    with pytest.raises(ModelError, match="256 entries are no fewer than the"):
        Codebook(entries=256).check(made("convnet", 0.1, 2))
    with pytest.raises(ModelError, match="leaves none of the"):
        Sparse(sparsity=0.99).check(made("convnet", 0.1, 2))
    with pytest.raises(ModelError, match="'entries' must be a whole number"):
        Codebook(entries=2.5)
    with pytest.raises(ModelError, match="has no weights to change"):
        Sparse().check(nn.Conv2d(1, 4, 3))


def test_first_and_depthwise_convolutions_keep_their_weights() -> None:
    network = made("mobilenet_v2", 1.0)
    names = {name for name, _ in weighted_layers(network)}
    layers = [(n, each) for n, each in network.named_modules() if isinstance(each, nn.Conv2d)]
    assert layers[0][0] not in names
    assert all((each.groups == 1) == (name in names) for name, each in layers[1:])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_numbers_lie_side_by_side_in_bytes(bits: int) -> None:
    numbers = np.random.default_rng(0).integers(0, 2**bits, 13)
    packed = pack_bits(torch.from_numpy(numbers), bits)
    whole = sum(int(each) << (bits * place) for place, each in enumerate(numbers))
    assert bytes(packed.tolist()) == whole.to_bytes(len(packed), "little")
    assert unpack_bits(packed, bits, 13).tolist() == numbers.tolist()
