"""A network's own normalisation and size: the same view, prepared as its weights were trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

from kdsearch.data import Scale
from kdsearch.errors import ModelError
from kdsearch.graphs.int8_file import to_int8
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import Input, Inputs, Network, Signal, build_network, measure
from kdsearch.models.parts import find_parts
from kdsearch.models.preparation import Preparation
from kdsearch.problems import Head
from kdsearch.problems.head import side_by_side
from kdsearch.space.architectures import Architectures
from kdsearch.spec.concrete import ModelConfig, Normalisation

MEAN, STD = (0.2, 0.4, 0.6), (0.3, 0.2, 0.1)
DATA = {"image": Input("image", (3, 24, 24), MEAN, STD)}
OWN = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def scaled(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    centre, spread = (torch.tensor(each, dtype=pixels.dtype)[:, None, None] for each in (mean, std))
    return (pixels - centre) / spread


@pytest.mark.parametrize("side", [8, 17, 24, 40])
def test_pixels_are_normalised_and_resized_as_torch_does_it(side: int) -> None:
    pixels = torch.rand(2, 3, 24, 24, dtype=torch.float64)
    preparation = Preparation(DATA["image"], OWN.mean, OWN.std, side)
    found = preparation(scaled(pixels, MEAN, STD).float())
    sized = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    torch.testing.assert_close(
        found.double(), scaled(sized, OWN.mean, OWN.std), rtol=1e-5, atol=2e-5
    )
    assert preparation.taken.shape == (3, side, side)
    assert preparation.taken.mean == OWN.mean


def test_grey_images_are_repeated_for_a_network_of_colours() -> None:
    grey = Input("image", (1, 24, 24), (0.3,), (0.5,))
    pixels = torch.rand(2, 1, 24, 24)
    found = Preparation(grey, OWN.mean, OWN.std)(scaled(pixels, (0.3,), (0.5,)))
    expected = scaled(pixels.expand(-1, 3, -1, -1), OWN.mean, OWN.std)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def network_of(side: int | None, inputs: Inputs = DATA, **more: object) -> Network:
    config = ModelConfig(
        family="convnet",
        width=0.25,
        image_size=side,
        normalise=OWN,
        **more,  # type: ignore[arg-type]
    )
    torch.manual_seed(0)
    network = build_network(config, inputs, 10)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(16, *inputs["image"].shape))
    return network.eval()


def plain_of(network: Network, side: int) -> Network:
    """The same weights in a network that takes prepared images."""
    plain = build_network(
        ModelConfig(family="convnet", width=0.25),
        {"image": Input("image", (3, side, side))},
        10,
    )
    plain.load_state_dict(network.state_dict())
    return plain.eval()


def test_every_signal_is_that_of_the_prepared_images() -> None:
    network = network_of(16)
    pixels = torch.rand(4, 3, 24, 24)
    prepared = scaled(
        F.interpolate(pixels, (16, 16), mode="bilinear", antialias=True), OWN.mean, OWN.std
    )
    wanted = {Signal.EMBEDDING, Signal.FEATURES, Signal.ATTENTION}
    with torch.no_grad():
        found = network.observe({"image": scaled(pixels, MEAN, STD)}, wanted)
        expected = plain_of(network, 16).observe({"image": prepared}, wanted)
        logits = network(scaled(pixels, MEAN, STD))
    assert torch.equal(found.logits, logits)  # type: ignore[arg-type]
    for name in ("logits", "embedding"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-4
        )
    for one, other in zip(found.features, expected.features, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert network.signal_shapes().maps == plain_of(network, 16).signal_shapes().maps


def test_what_is_shipped_has_the_weights_alone() -> None:
    assert set(network_of(16).state_dict()) == set(plain_of(network_of(16), 16).state_dict())


def test_multiply_accumulates_are_those_of_the_own_size() -> None:
    """Of the network at 16 pixels, and of the two matrix products that resize three channels."""
    network = network_of(16)
    resizing = 3 * (16 * 24 * 24 + 16 * 24 * 16)
    assert measure(network).macs == measure(plain_of(network, 16)).macs + resizing
    assert measure(network).parameters == measure(plain_of(network, 16)).parameters
    architectures = Architectures(DATA, 10)
    sizes = [
        architectures.size(ModelConfig(family="convnet", image_size=side)).macs
        for side in (None, 8, 16, 24, 32)
    ]
    assert sizes[0] == sizes[3]
    assert sizes[1] < sizes[2] < sizes[3] < sizes[4]


def sample_network(side: int) -> SampleNetwork:
    heads = side_by_side([Head(names=tuple(map(str, range(10))))])
    return SampleNetwork(network_of(side), heads, DATA, {"image": Scale(MEAN, STD)})


def test_an_exported_file_answers_as_plain_weights_on_prepared_pixels() -> None:
    module = sample_network(16)
    content = to_onnx(module, {})
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 24, 24), dtype=np.uint8)
    assert check_onnx(content, module, {"image": pixels}) <= 1e-5
    sized = F.interpolate(torch.from_numpy(pixels) / 255, (16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = plain_of(module.network, 16)(scaled(sized, OWN.mean, OWN.std)).numpy()
    np.testing.assert_allclose(
        Session(content).outputs({"image": pixels}), expected, rtol=1e-3, atol=1e-4
    )


def test_the_preparation_is_not_quantized() -> None:
    """The first quantized layer reads the prepared images in whole precision."""
    module = sample_network(16)
    pixels: Mapping[str, np.ndarray] = {
        "image": np.random.default_rng(0).integers(0, 256, (64, 3, 24, 24), dtype=np.uint8)
    }
    content = to_int8(to_onnx(module, {}), pixels)
    graph = onnx.load_from_string(content).graph
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert len(products) >= 2
    made = {output: node.op_type for node in graph.node for output in node.output}
    for node in products[:2]:
        assert "DequantizeLinear" not in {made.get(name) for name in node.input}


@pytest.mark.parametrize(
    ("inputs", "more", "told"),
    [
        (
            {"image": Input("image", (3, 24, 20), MEAN, STD)},
            {"image_size": 16},
            "image_size resizes square images, and the data are images of 24×20 pixels",
        ),
        (
            {"image": Input("image", (4, 24, 24), MEAN, STD)},
            {"normalise": OWN},
            r"normalise has 3 channel\(s\), and the data are .* 4 channel",
        ),
        (
            {"numbers": Input("numbers", (4,))},
            {"image_size": 16},
            "image_size is for networks that take one image, and mlp takes 0",
        ),
    ],
)
def test_what_cannot_be_prepared(inputs: Inputs, more: dict[str, object], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        build_network(ModelConfig(family="mlp", **more), inputs, 10)  # type: ignore[arg-type]


def test_an_adopted_classifier_stands_behind_the_prepared_student() -> None:
    teacher = ModelConfig(family="convnet", width=0.5, image_size=32, normalise=OWN)
    student = ModelConfig(family="convnet", width=0.25, image_size=16, adopts=teacher)
    network = build_network(student, DATA, 10).eval()
    assert network.backbone.preparation is None  # type: ignore[union-attr]
    assert network.preparation is not None
    assert network(torch.randn(2, 3, 24, 24)).shape == (2, 10)


@pytest.mark.parametrize("family", ["convnet", "torchvision/resnet18", "timm/vit_tiny_patch16_224"])
def test_the_parts_of_a_network_are_those_of_its_own_size(family: str) -> None:
    """A vision transformer takes no images of another size than its own."""
    own = ModelConfig(family=family, image_size=32, normalise=OWN)
    network = build_network(own, DATA, 10)
    plain = build_network(ModelConfig(family=family), {"image": Input("image", (3, 32, 32))}, 10)
    found, expected = find_parts(network), find_parts(plain)
    assert found.stages == expected.stages
    assert all(found.of(name) == expected.of(name) for name, _ in network.named_parameters())


def test_autocast_leaves_the_pixels_whole() -> None:
    preparation = Preparation(DATA["image"], OWN.mean, OWN.std, 16)
    images = torch.randn(2, 3, 24, 24)
    with torch.autocast("cpu", torch.bfloat16):
        found = preparation(images)
    assert found.dtype == torch.float32
    assert torch.equal(found, preparation(images))
