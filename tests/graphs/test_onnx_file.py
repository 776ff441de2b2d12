"""ONNX files of every family, input and task answer as the network in PyTorch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from kdsearch.data import Scale
from kdsearch.errors import ModelError, RunError
from kdsearch.graphs.compare import largest_difference
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import OPSET, check_onnx, to_onnx
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models.inputs import of_images
from kdsearch.models.taps.tapped import TappedNetwork
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, PRICE, TAGS, sample_network, samples


@pytest.mark.parametrize("heads", [(CLASSES,), (PRICE,), (CLASSES, PRICE, TAGS)])
def test_several_inputs_and_tasks(heads: Any) -> None:
    inputs = IMAGE | NUMBERS
    module = sample_network("mlp", inputs, heads)
    content = to_onnx(module, {})
    given = samples(inputs, 9)
    found = Session(content).outputs(given)
    with torch.no_grad():
        expected = module(*(torch.from_numpy(each) for each in given.values())).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    if heads == (PRICE,):
        assert np.abs(found).max() > 100_000


def test_large_numbers_keep_their_digits() -> None:
    module = sample_network("mlp", NUMBERS, (PRICE,))
    module.scales = {"numbers": Scale((1.7e9,) * 4, (1.0,) * 4)}
    content = to_onnx(module, {})
    found = Session(content).outputs({"numbers": 1.7e9 + np.linspace(-1, 1, 12).reshape(3, 4)})
    assert len(np.unique(found)) == 3


@pytest.mark.parametrize("size", [(16, 16), (16, 17), (40, 23), (9, 12), (101, 64)])
def test_images_of_any_size_where_the_study_resizes(size: tuple[int, int], resizing: bytes) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, *size), dtype=np.uint8)
    module = sample_network(image_size=16)
    assert check_onnx(resizing, module, {"image": pixels}) <= 1e-5


@pytest.fixture(scope="module")
def resizing() -> bytes:
    return to_onnx(sample_network(image_size=16), {})


def test_images_of_one_size_where_the_study_does_not() -> None:
    content = to_onnx(sample_network(), {})
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        Session(content).outputs({"image": np.zeros((2, 3, 17, 16), np.uint8)})


def test_what_a_file_says(capfd: pytest.CaptureFixture[str]) -> None:
    inputs = IMAGE | NUMBERS
    module = sample_network("mlp", inputs, (CLASSES, PRICE))
    content = to_onnx(module, metadata_of(module))
    assert capfd.readouterr() == ("", "")
    model = onnx.load_from_string(content)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "image": ["batch", 3, 16, 16],
        "numbers": ["batch", 4],
        "outputs": ["batch", 4],
    }
    told = Session(content).metadata
    assert told["opset"] == str(OPSET)
    shape, price = json.loads(told["tasks"])
    assert (shape["names"], shape["columns"]) == (["round", "square", "long"], [0, 3])
    assert (price["kind"], price["columns"]) == ("value", [3, 4])
    image, numbers = json.loads(told["inputs"])
    assert (image["name"], image["type"]) == ("image", "uint8")
    assert (numbers["shape"], numbers["std"]) == (["batch", 4], [1000.0] * 4)


def test_a_file_tells_no_path_of_the_machine() -> None:
    content = to_onnx(sample_network(), {})
    assert b"/" + b"kdsearch" not in content
    assert b".py" not in content


def test_the_network_stays_in_its_mode() -> None:
    module = sample_network()
    module.train()
    content = to_onnx(module, {})
    assert all(part.training for part in module.modules())
    check_onnx(content, module, samples(IMAGE, 3))
    assert all(part.training for part in module.modules())


def test_another_network_is_told() -> None:
    content = to_onnx(sample_network(seed=1), {})
    with pytest.raises(RunError, match=r"differ from PyTorch's by .*, more than 1e-05"):
        check_onnx(content, sample_network(seed=2), samples(IMAGE, 3))


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        ([[0.5, 100.0]], [[0.5, 100.0]], 0.0),
        ([[0.5 + 1e-3, 100.0]], [[0.5, 100.0]], 1e-3),
        ([[0.5, 101.0]], [[0.5, 100.0]], 1e-2),
        ([[np.nan, 1.0]], [[0.5, 1.0]], np.nan),
        ([[1.0]], [[1.0, 1.0]], np.inf),
        (np.zeros((0, 2)), np.zeros((0, 2)), 0.0),
    ],
)
def test_large_outputs_differ_by_a_share(found: Any, expected: Any, difference: float) -> None:
    told = largest_difference(np.array(found, np.float32), np.array(expected, np.float32))
    assert told == pytest.approx(difference, rel=1e-3, nan_ok=True)


class Branching(nn.Module):
    """Goes a way that values decide."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        return self.layer(flat) if float(flat.detach().sum()) > 0 else self.layer(flat) + 1


class ForTwo(Branching):
    """Takes two samples alone."""

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.reshape(2, 192))


class Determined(Branching):
    """Calls an operator that ONNX lacks."""

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1)) * torch.special.bessel_j0(images.sum())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Branching, "torch.export cannot trace mine"),
        (ForTwo, "torch.export cannot trace mine"),
        (Determined, "mine cannot be written as ONNX .*bessel_j0"),
    ],
)
def test_what_cannot_be_a_graph_is_told_in_a_sentence(
    kind: type[nn.Module], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = of_images((3, 8, 8))
    network = TappedNetwork(kind(), "mine", inputs, 3).eval()
    network.family = "mine"
    scale = {"image": Scale((0.5,) * 3, (0.5,) * 3)}
    module = SampleNetwork(network, (CLASSES,), inputs, scale)
    with pytest.raises(ModelError, match=words) as caught:
        to_onnx(module, {})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
