"""What every network says when it is observed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from kdsearch.models import Signal, build_network, of_images
from kdsearch.spec.concrete import ModelConfig

CONFIG = ModelConfig(family="convnet", width=0.5)
SHAPE = (1, 8, 8)


@pytest.mark.parametrize("count", range(len(Signal) + 1))
def test_observe_gives_exactly_what_is_wanted(count: int) -> None:
    network = build_network(CONFIG, of_images(SHAPE), 5)
    for wanted in itertools.combinations(Signal, count):
        signals = network.observe({"image": torch.zeros(2, *SHAPE)}, wanted)
        assert signals.logits is not None
        assert (signals.embedding is not None) == (Signal.EMBEDDING in wanted)
        assert bool(signals.features) == (Signal.FEATURES in wanted)
        assert bool(signals.attention) == (Signal.ATTENTION in wanted)


def test_attention_is_the_mean_of_squares_over_channels() -> None:
    network = build_network(CONFIG, of_images(SHAPE), 5).eval()
    with torch.no_grad():
        signals = network.observe({"image": torch.randn(4, *SHAPE)}, set(Signal))
    assert len(signals.attention) == 3
    for stage, attention in zip(signals.features, signals.attention, strict=True):
        expected = np.square(stage.numpy().astype(np.float64)).sum(axis=1) / stage.shape[1]
        assert np.allclose(attention.numpy(), expected, rtol=1e-5)


def test_forward_gives_the_logits_of_observe() -> None:
    network = build_network(CONFIG, of_images(SHAPE), 5).eval()
    images = torch.randn(4, *SHAPE)
    assert torch.equal(network(images), network.observe({"image": images}, ()).logits)


@pytest.mark.parametrize("training", [True, False])
def test_asking_for_shapes_changes_neither_mode_nor_weights(training: bool) -> None:
    network = build_network(CONFIG, of_images(SHAPE), 5).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert network.signal_shapes().maps == ((8, 8, 8), (16, 4, 4), (32, 2, 2))
    assert all(part.training is training for part in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
