"""Networks from the user's own functions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.errors import ModelError
from kdsearch.models import FAMILIES, build_network, measure_config, of_images
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig

SOURCE = """
import torch
from torch import nn
from kdsearch.models import FAMILIES, of_images
from kdsearch.spec.concrete import ModelConfig

calls = []

def plain(**arguments):
    calls.append(arguments)
    channels, height, width = arguments["image_shape"]
    hidden = int(8 * arguments["width"])
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(hidden, arguments["classes"]),
    )

def initialised(**arguments):
    model = plain(**arguments)
    for parameter in model.parameters():
        assert float(parameter.detach().abs().sum()) > 0
    return model

def network(image_shape, classes, width):
    model = ModelConfig(family="mlp", width=width)
    return FAMILIES["mlp"].build(model, of_images(image_shape), classes)

def wrong_classes(image_shape, classes, width):
    return network(image_shape, classes + 1, width)

def text(**_):
    return "a network"

def broken(**_):
    raise RuntimeError("no weights\\nhere")

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"own_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def build(family: str, **more: float) -> torch.nn.Module:
    return build_network(ModelConfig(family=family, **more), of_images((1, 8, 8)), 10)


def test_a_module_is_wrapped(module: str) -> None:
    network = build(f"{module}:plain", width=2)
    assert isinstance(network, TappedNetwork)
    shapes = network.signal_shapes()
    assert (shapes.classes, shapes.embedding, shapes.maps) == (10, 16, ((16, 8, 8),))


def test_depth_is_passed_only_when_given(module: str) -> None:
    network = build(f"{module}:plain")
    build(f"{module}:plain", depth=5)
    calls = __import__(module).calls
    base = {"image_shape": (1, 8, 8), "classes": 10, "width": 1.0}
    assert calls == [base, base | {"depth": 5}]
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_network_is_taken_as_it_is(module: str) -> None:
    network = build(f"{module}:network", width=0.5)
    assert type(network) is type(
        FAMILIES["mlp"].build(ModelConfig(family="mlp"), of_images((1, 8, 8)), 10)
    )


@pytest.mark.parametrize("function", ["plain", "initialised"])
def test_sizes_may_need_real_weights_and_leave_the_generator_alone(
    module: str, function: str
) -> None:
    state = torch.random.get_rng_state()
    size = measure_config(ModelConfig(family=f"{module}:{function}"), of_images((1, 8, 8)), 10)
    assert size.parameters == 9 * 8 + 8 + 8 * 10 + 10
    assert size.macs == 64 * 9 * 8 + 80
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("plian", "has no function 'plian'; did you mean 'plain'"),
        ("number", "has no function 'number'"),
        ("text", "text returned a str; return a torch.nn.Module"),
        ("broken", r"broken failed on image_shape=\(1, 8, 8\).*RuntimeError: no weights\); fix"),
        ("wrong_classes", "11 outputs; make it for images of 8×8 pixels .* and 10"),
    ],
)
def test_mistakes_are_one_sentence(module: str, function: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        build(f"{module}:{function}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (
            "no_such_module_here:make",
            "the module 'no_such_module_here', which is neither",
        ),
        (":make", "write it as module:function"),
        ("module:", "write it as module:function"),
    ],
)
def test_names_that_lead_nowhere(family: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(family)
