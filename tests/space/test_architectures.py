"""Sizes and shapes that are remembered are those of the very network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.models import (
    FAMILIES,
    Input,
    blueprint,
    build_network,
    measure,
    measure_config,
    of_images,
)
from kdsearch.problems import Head
from kdsearch.space import architectures
from kdsearch.space.architectures import Architectures
from kdsearch.spec.concrete import ModelConfig

SHAPE, CLASSES = (3, 32, 32), 10
WIDTHS = (0.3, 0.3001, 0.5, 0.77)
OWN = """
import torch
from torch import nn

def striding(image_shape, classes, width):
    stride = 2 if width < 0.5 else 1
    body = nn.Sequential(nn.Conv2d(image_shape[0], 4, 3, stride, 1), nn.ReLU())
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))
"""


@pytest.mark.parametrize("family", [*FAMILIES, "torchvision/resnet18"])
def test_they_are_those_of_the_network(family: str) -> None:
    known = Architectures(of_images(SHAPE), CLASSES)
    for width in WIDTHS:
        model = ModelConfig(family=family, width=width)
        assert known.size(model) == measure_config(model, of_images(SHAPE), CLASSES)
        assert known.shapes(model) == blueprint(model, of_images(SHAPE), CLASSES).signal_shapes()


def test_an_adopted_classifier_is_counted() -> None:
    teacher = ModelConfig(family="convnet", width=1.0)
    known = Architectures(of_images(SHAPE), CLASSES)
    for width in WIDTHS:
        for adopts in (None, teacher):
            model = ModelConfig(family="convnet", width=width, adopts=adopts)
            assert known.size(model) == measure_config(model, of_images(SHAPE), CLASSES)
            assert (
                known.shapes(model) == blueprint(model, of_images(SHAPE), CLASSES).signal_shapes()
            )


@pytest.mark.parametrize("turned", [False, True])
def test_networks_of_other_classes_are_others(turned: bool) -> None:
    """Their channels are those of a network of the data's classes, and their answers are not."""
    known = Architectures(of_images(SHAPE), CLASSES)
    named = {str(place): 9 - place for place in range(10)}
    models = [
        ModelConfig(family="convnet"),
        ModelConfig(family="convnet", outputs=10),
        ModelConfig(family="convnet", outputs=10, stands_for=named),
    ]
    expected = [(True, True), (False, False), (True, False)]
    asked = list(zip(models, expected, strict=True))
    for model, answers in reversed(asked) if turned else asked:
        shapes = known.shapes(model)
        assert (shapes.answers, shapes.own_classes) == answers


def test_equal_channels_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    measure = architectures.measure

    def counting(network: torch.nn.Module) -> object:
        measured.append(1)
        return measure(network)  # type: ignore[arg-type]

    monkeypatch.setattr(architectures, "measure", counting)
    known = Architectures(of_images(SHAPE), CLASSES)
    for width in (0.5, 0.5001, 0.5002, 0.75, 0.5):
        known.size(ModelConfig(family="convnet", width=width))
    assert len(measured) == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures, "ROOM", 2)
    known = Architectures(of_images((1, 8, 8)), CLASSES)
    models = [ModelConfig(family="mlp", width=width) for width in (0.1, 0.3, 0.5)]
    for model in [*models, *models]:
        assert known.size(model) == measure_config(model, of_images((1, 8, 8)), CLASSES)
        assert (
            known.shapes(model) == blueprint(model, of_images((1, 8, 8)), CLASSES).signal_shapes()
        )
        assert len(known._known) <= 2


def test_a_users_network_may_change_more_than_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_striding.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    known = Architectures(of_images(SHAPE), CLASSES)
    sizes = {}
    for width in (0.4, 0.6, 0.4):
        model = ModelConfig(family="own_striding:striding", width=width)
        sizes[width] = known.size(model)
        assert sizes[width] == measure_config(model, of_images(SHAPE), CLASSES)
        assert known.shapes(model) == blueprint(model, of_images(SHAPE), CLASSES).signal_shapes()
    assert sizes[0.4].parameters == sizes[0.6].parameters
    assert sizes[0.4].macs < sizes[0.6].macs


def test_tensors_with_values_are_computed_with() -> None:
    values = torch.tensor([-1.0, 2.0])
    with architectures._ShapesAlone():
        assert torch.relu(values).tolist() == [0.0, 2.0]
        assert torch.relu(values.to("meta")).shape == (2,)


def test_networks_of_some_tasks_are_measured_beside_the_same_reference() -> None:
    heads = (Head("kind", names=("a", "b", "c")), Head("tone", names=("d", "e"), start=3))
    whole = Architectures(of_images((1, 8, 8)), 5, heads=heads)
    model = ModelConfig(family="mlp", width=0.5, depth=1)
    part = whole.of_tasks(["tone"])
    assert part is whole.of_tasks(["tone"])
    assert whole.of_tasks(()) is whole
    assert part.size(model) == measure(build_network(model, of_images((1, 8, 8)), 2))
    assert part.shapes(model).classes == 2
    assert [(head.name, head.start) for head in part.heads] == [("tone", 0)]
    assert part.stopwatch is whole.stopwatch


def test_networks_of_other_inputs_are_other_architectures() -> None:
    """A convolution has the same weights for images of any size, and other sizes and maps."""
    inputs = {"small": Input("image", (1, 8, 8)), "big": Input("image", (1, 32, 32))}
    for order in (("small", "big"), ("big", "small")):
        known = Architectures(inputs, CLASSES)
        for name in order:
            model = ModelConfig(family="convnet", width=0.5, depth=2, inputs=(name,))
            assert known.size(model) == measure_config(model, inputs, CLASSES)
            assert known.shapes(model) == blueprint(model, inputs, CLASSES).signal_shapes()
