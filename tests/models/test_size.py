"""Sizes of arbitrary networks against hand counts, files and the real thing."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save
from torch import nn

from kdsearch.models import Inputs, build_network, measure, measure_config, of_images
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig


def tapped(*layers: nn.Module) -> TappedNetwork:
    return TappedNetwork(nn.Sequential(*layers), "test", of_images((2, 6, 6)), 3)


def test_depthwise_and_pointwise_convolutions() -> None:
    network = tapped(
        nn.Conv2d(2, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 4, 1, bias=False),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    measured = measure(network)
    # 3×3 maps, then 1×1
    assert measured.macs == 9 * (8 * 2 * 9) + 8 * 9 + 8 * 4 + 4 * 3
    assert measured.parameters == (8 * 2 * 9 + 8) + (8 * 9 + 8) + 8 * 4 + (4 * 3 + 3)
    assert measured.bytes == 4 * measured.parameters


def test_attention_is_counted_in_evaluation_too() -> None:
    """Four tokens of 8: projections to queries, keys, values; two products; one projection out."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            tokens = images.reshape(len(images), 4, 8)
            mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
            return self.head(mixed.mean(dim=1))

    network = (
        TappedNetwork(Attention(), "test", of_images((2, 4, 4)), 3).eval().requires_grad_(False)
    )
    enabled = torch.backends.mha.get_fastpath_enabled()
    assert measure(network).macs == 4 * 8 * 24 + 2 * (4 * 4 * 8) + 4 * 8 * 8 + 8 * 3
    assert torch.backends.mha.get_fastpath_enabled() == enabled


def test_shared_weights_count_once() -> None:
    shared = nn.Linear(72, 72)
    measured = measure(tapped(nn.Flatten(), shared, nn.ReLU(), shared, nn.Linear(72, 3)))
    assert measured.parameters == 72 * 73 + 73 * 3
    assert measured.bytes == 4 * measured.parameters
    assert measured.macs == 2 * 72 * 72 + 72 * 3


def test_half_precision_is_counted_as_float32() -> None:
    network = tapped(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    assert measure(network) == measure(network.to(torch.bfloat16))


@pytest.mark.parametrize("family", ["resnet", "shufflenet_v2", "mlp"])
def test_bytes_are_those_of_the_tensors_in_a_safetensors_file(family: str) -> None:
    network = build_network(ModelConfig(family=family, width=0.5), of_images((1, 8, 8)), 10)
    stored = save(network.state_dict())
    header = struct.unpack("<Q", stored[:8])[0]
    assert json.loads(stored[8 : 8 + header])
    assert measure(network).bytes == len(stored) - 8 - header


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "vgg", "torchvision/resnet18"])
def test_a_configuration_measures_as_the_network_it_makes(family: str) -> None:
    config = ModelConfig(family=family, width=0.25)
    state = torch.random.get_rng_state()
    proposed = measure_config(config, of_images((3, 32, 32)), 10)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert proposed == measure(build_network(config, of_images((3, 32, 32)), 10))


def test_a_proposed_network_has_no_weights_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.device] = []

    def spy(config: ModelConfig, inputs: Inputs, outputs: int) -> nn.Module:
        network = build_network(config, inputs, outputs)
        seen.extend(tensor.device for tensor in network.state_dict().values())
        return network

    monkeypatch.setattr("kdsearch.models.registry.build_network", spy)
    measure_config(ModelConfig(family="resnet", width=50), of_images((3, 32, 32)), 10)
    assert {device.type for device in seen} == {"meta"}


def test_measuring_leaves_mode_and_weights_alone() -> None:
    network = build_network(ModelConfig(family="convnet"), of_images((1, 8, 8)), 10).train()
    network.stages[0].eval()
    modes = [part.training for part in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure(network)
    assert [part.training for part in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
