"""Channel counts that are multiples of what a device computes fastest with."""

from __future__ import annotations

import pytest
from torch import nn

from kdsearch.models import FAMILIES, build_network, measure_config, of_images
from kdsearch.models.family import scaled
from kdsearch.spec.concrete import ModelConfig

IMAGES = of_images((3, 32, 32))


def counts(config: ModelConfig) -> dict[str, int]:
    """Outputs of each layer but the classifier."""
    network = build_network(config, IMAGES, 7)
    return {
        name: len(layer.weight)
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)) and layer is not network.head
    }


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("multiple", [8, 12])
@pytest.mark.parametrize("width", [0.07, 0.3, 1, 1.4])
def test_all_counts_of_a_family_are_multiples(family: str, multiple: int, width: float) -> None:
    config = ModelConfig(family=family, width=width, round_to=multiple)
    found = counts(config)
    assert found
    assert not [name for name, count in found.items() if count % multiple]
    size = measure_config(config, IMAGES, 7)
    built = build_network(config, IMAGES, 7)
    assert size.parameters == sum(weight.numel() for weight in built.parameters())


@pytest.mark.parametrize("family", ["torchvision/mobilenet_v2", "torchvision/efficientnet_b0"])
@pytest.mark.parametrize("width", [0.3, 1])
def test_counts_of_torchvision_are_multiples_or_small(family: str, width: float) -> None:
    original = counts(ModelConfig(family=family))
    found = counts(ModelConfig(family=family, width=width, round_to=16))
    assert found.keys() == original.keys()
    for name, count in found.items():
        assert count % 16 == 0 or count == original[name] < 16
        assert count <= original[name]


@pytest.mark.parametrize(
    ("width", "expected"),
    # 12 up to width 1 never grows beyond its 12, and 58 never beyond 56
    [(0.5, (8, 32)), (0.1, (8, 8)), (1, (8, 56)), (1.5, (16, 88))],
)
def test_counts_are_rounded_half_up(width: float, expected: tuple[int, int]) -> None:
    assert scaled(ModelConfig(family="x", width=width, round_to=8), (12, 58)) == expected


def test_without_it_nothing_changes_in_files() -> None:
    assert "round_to" not in ModelConfig(family="vgg").model_dump()
    assert ModelConfig(family="vgg", round_to=8).model_dump()["round_to"] == 8
