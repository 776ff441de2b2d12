"""Every family as an ONNX file, in float32 and quantized."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from kdsearch.graphs.int8_file import to_int8
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.run import Session
from kdsearch.models.inputs import of_images
from tests.graphs.networks import IMAGE, sample_network, samples

FLOAT = ("Conv", onnx.TensorProto.FLOAT)

SMALL = [
    ("convnet", None),
    ("mlp", None),
    ("resnet", 8),
    ("wide_resnet", 10),
    ("vgg", 8),
    ("mobilenet_v2", None),
    ("shufflenet_v1", None),
    ("shufflenet_v2", None),
    ("bottleneck_resnet", 26),
]


@pytest.mark.parametrize(("family", "depth"), SMALL)
def test_a_family_as_a_file_in_float32_and_quantized(
    family: str, depth: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    module = sample_network(family, depth=depth)
    content = to_onnx(module, metadata_of(module))
    for count in (1, 2, 7):
        assert check_onnx(content, module, samples(IMAGE, count)) <= 1e-5
    quantized = to_int8(content, samples(IMAGE, 96))
    assert capfd.readouterr() == ("", "")
    given = samples(IMAGE, 40, seed=1)
    found, expected = (Session(each).outputs(given) for each in (quantized, content))
    assert np.linalg.norm(found - expected) < 0.3 * np.linalg.norm(expected)
    assert Session(quantized).metadata["tasks"] == Session(content).metadata["tasks"]
    types = weight_types(quantized)
    first = {FLOAT} if "Conv" in types[0] else {("Gemm", onnx.TensorProto.INT8)}
    assert set(types[:1]) == first
    assert {kind for _, kind in types[1:]} == {onnx.TensorProto.INT8}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_networks_of_torchvision(name: str) -> None:
    inputs = of_images((3, 64, 64))
    module = sample_network(f"torchvision/{name}", inputs, width=1)
    content = to_onnx(module, {})
    assert check_onnx(content, module, samples(inputs, 3)) <= 1e-5
    given = samples(inputs, 16, seed=1)
    quantized = to_int8(content, given)
    found, expected = (Session(each).outputs(given) for each in (quantized, content))
    assert np.linalg.norm(found - expected) < 0.3 * np.linalg.norm(expected)


def weight_types(content: bytes) -> list[tuple[str, int]]:
    """Operator and element type of the weights of convolutions and linear layers, in order."""
    graph = onnx.load_from_string(content).graph
    types = {each.name: each.data_type for each in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    found = []
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            source = made.get(node.input[1])
            found.append((node.op_type, types[source.input[0] if source else node.input[1]]))
    return found
