"""Averaged weights, beside the sum that defines them."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from kdsearch.training.averaging import WeightAverage, exponent, over_last_part


@pytest.mark.parametrize(("share", "power"), [(0.05, 16.97), (0.1, 6.94)])
def test_the_power_is_the_published_one(share: float, power: float) -> None:
    assert exponent(share) == pytest.approx(power, abs=0.005)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25])
def test_the_profile_is_as_wide_as_asked_at_any_length(share: float) -> None:
    for steps in (20_000, 200_000):
        at = (np.arange(steps) + 0.5) / steps
        weights = at ** exponent(share)
        mean = np.average(at, weights=weights)
        assert math.sqrt(np.average((at - mean) ** 2, weights=weights)) == pytest.approx(
            share, rel=1e-3
        )


@pytest.mark.parametrize("share", [0.0, 0.3, -1.0])
def test_a_width_that_no_power_has_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="narrower than"):
        exponent(share)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def drift(network: nn.Module, generator: torch.Generator) -> None:
    """Other weights and buffers."""
    with torch.no_grad():
        for value in (*network.parameters(), *network.buffers()):
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
            else:
                value += 1


def test_each_update_has_the_weight_of_the_recursion() -> None:
    """Unrolled, update s has (1 - b_s) b_{s+1} … b_t, where b_s is ((s - 1) / s) ** (power + 1)."""
    network, generator = small(), torch.Generator().manual_seed(0)
    average, seen, power = WeightAverage(network, over_last_part(0.1)), [], exponent(0.1)
    for _ in range(12):
        drift(network, generator)
        seen.append({k: v.clone().double().numpy() for k, v in network.state_dict().items()})
        average.update()
    steps = np.arange(1, 13)
    kept = ((steps - 1) / steps) ** (power + 1)
    weights = (1 - kept) * np.append(np.cumprod(kept[:0:-1])[::-1], 1.0)
    assert weights.sum() == pytest.approx(1)
    for name, value in average.network.state_dict().items():
        if value.is_floating_point():
            expected = sum(w * each[name] for w, each in zip(weights, seen, strict=True))
            np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)
        else:
            assert value.item() == 12


def test_it_goes_on_from_a_saved_state() -> None:
    networks = [small(), small()]
    generators = [torch.Generator().manual_seed(1) for _ in networks]
    whole, begun = (WeightAverage(network, over_last_part()) for network in networks)
    for step in range(6):
        for network, generator in zip(networks, generators, strict=True):
            drift(network, generator)
        if step == 3:
            resumed = WeightAverage(networks[1], over_last_part())
            resumed.load_state_dict(begun.state_dict())
            begun = resumed
        whole.update()
        begun.update()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, begun.network.state_dict()[name])


def test_the_trained_network_is_left_alone() -> None:
    network = small()
    average = WeightAverage(network, over_last_part())
    drift(network, torch.Generator().manual_seed(2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    average.update()
    average.update()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_an_average_goes_with_its_last_reference() -> None:
    """Without waiting for Python to look for cycles, which may be a whole training later."""
    network = small()
    average = WeightAverage(network, over_last_part())
    average.update()
    held = [weakref.ref(average), weakref.ref(average.network), weakref.ref(network)]
    gc.disable()
    try:
        del average, network
        assert [each() for each in held] == [None, None, None]
    finally:
        gc.enable()
