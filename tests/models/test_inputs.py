"""Networks of several inputs: which they take, how their signals are read, what they cost."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models import (
    FAMILIES,
    Input,
    Signal,
    build_network,
    measure,
    of_images,
)
from kdsearch.models.network import Network
from kdsearch.spec import ModelConfig

BOTH = {**of_images((1, 8, 8)), "age": Input("numbers", (3,))}
IMAGES, AGES = torch.randn(5, 1, 8, 8), torch.randn(5, 3)


class Both(nn.Module):
    """A convolution on the image, whose means a classifier takes beside the numbers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolution, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.classifier = nn.Linear(7, classes)

    def forward(self, image: Tensor, age: Tensor) -> Tensor:
        maps = self.act(self.convolution(image))
        return self.classifier(torch.cat([maps.mean(dim=(2, 3)), age], dim=1))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of the function ``own_inputs:both``."""
    calls: list[dict[str, Any]] = []

    def both(**given: Any) -> nn.Module:
        calls.append(given)
        return Both(given["classes"])

    module = ModuleType("own_inputs")
    module.both = both  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_inputs", module)
    return calls


def test_a_perceptron_takes_all_side_by_side() -> None:
    network = build_network(ModelConfig(family="mlp", width=0.25, depth=1), BOTH, 10).eval()
    flat = torch.cat([IMAGES.flatten(1), AGES], dim=1)
    (stage,), last = network.stages, network.classifier  # type: ignore[misc,union-attr]
    units = (flat @ stage.weight.T + stage.bias).relu()
    torch.testing.assert_close(network(IMAGES, AGES), units @ last.weight.T + last.bias)
    size = measure(network)
    assert size.macs == 67 * 32 + 32 * 10
    assert size.parameters == 67 * 32 + 32 + 32 * 10 + 10
    observed = network.observe({"age": AGES, "image": IMAGES}, {Signal.EMBEDDING})
    torch.testing.assert_close(observed.embedding, units)


def test_numbers_alone_are_enough() -> None:
    network = build_network(ModelConfig(family="mlp"), {"age": BOTH["age"]}, 4)
    assert network(AGES).shape == (5, 4)
    assert network.signal_shapes().maps == ((128, 1, 1),) * 2


def test_a_network_takes_what_its_inputs_name() -> None:
    config = ModelConfig(family="convnet", width=0.5, depth=2, inputs=("image",))
    network = build_network(config, BOTH, 10).eval()
    assert list(network.inputs) == ["image"]
    observed = network.observe({"image": IMAGES, "age": AGES}, set()).logits
    torch.testing.assert_close(observed, network(IMAGES))
    swapped = ModelConfig(family="mlp", inputs=("age", "image"))
    assert list(build_network(swapped, BOTH, 10).inputs) == ["age", "image"]


def test_a_student_of_fewer_inputs_adopts_its_teachers_classifier() -> None:
    teacher = ModelConfig(family="mlp", width=0.5)
    config = ModelConfig(family="convnet", width=0.5, inputs=("image",), adopts=teacher)
    network = build_network(config, BOTH, 10).eval()
    assert list(network.inputs) == ["image"]
    assert network(IMAGES).shape == (5, 10)
    assert network.head is not None
    assert network.head.in_features == 64


@pytest.mark.parametrize("family", [*sorted(set(FAMILIES) - {"mlp"}), "torchvision/resnet18"])
def test_families_of_one_image_say_so(family: str) -> None:
    told = r"takes one image, and the inputs are image \(images of 8×8 .*\) and age \(3 numbers\)"
    with pytest.raises(
        ModelError, match=f"{family} {told}; set inputs to \\[image\\], or take mlp"
    ):
        build_network(ModelConfig(family=family), BOTH, 10)
    with pytest.raises(ModelError, match="the inputs are 3 numbers; take mlp or"):
        build_network(ModelConfig(family=family), {"age": BOTH["age"]}, 10)


def test_an_input_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelError, match="no input 'ages'; did you mean 'age'"):
        build_network(ModelConfig(family="mlp", inputs=("ages",)), BOTH, 10)


def test_a_function_of_ones_own_is_told_all_inputs(own: list[dict[str, Any]]) -> None:
    network = build_network(ModelConfig(family="own_inputs:both"), BOTH, 10)
    assert own == [{"inputs": BOTH, "classes": 10, "width": 1.0}]
    torch.manual_seed(0)
    module = network.model  # type: ignore[union-attr]
    observed = network.eval().observe({"image": IMAGES, "age": AGES}, set(Signal))
    maps = module.convolution(IMAGES).relu()
    torch.testing.assert_close(observed.features, (maps,))
    torch.testing.assert_close(observed.preactivation, (module.convolution(IMAGES),))
    torch.testing.assert_close(observed.embedding, torch.cat([maps.mean(dim=(2, 3)), AGES], dim=1))
    torch.testing.assert_close(observed.logits, module(IMAGES, AGES))


def test_what_cannot_take_them_is_told(own: list[dict[str, Any]]) -> None:
    with pytest.raises(ModelError, match=r"own_inputs:both cannot take images of 8×8 pixels with"):
        build_network(ModelConfig(family="own_inputs:both"), of_images((1, 8, 8)), 10)


class Takes(Network):
    def trace(self, image: Tensor) -> Any:
        raise NotImplementedError


def test_a_network_made_for_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_other")
    module.made = lambda **given: Takes(of_images((3, 8, 8)), 10)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_other", module)
    told = "returned a network for images of 8×8 pixels with 3 channel.* make it for image "
    with pytest.raises(ModelError, match=told):
        build_network(ModelConfig(family="own_other:made"), BOTH, 10)
