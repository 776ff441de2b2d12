"""Quantized files: every family, what stays as it was, and what is small."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from kdsearch.errors import RunError
from kdsearch.graphs.int8_file import to_int8
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.run import Session
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, PRICE, sample_network, samples


def test_what_prepares_samples_and_brings_values_into_their_unit_stays() -> None:
    inputs = IMAGE | NUMBERS
    module = sample_network("mlp", inputs, (CLASSES, PRICE), image_size=16)
    content = to_onnx(module, {})
    quantized = to_int8(content, samples(inputs, 64))
    graph = onnx.load_from_string(quantized).graph
    made = {node.output[0]: node.op_type for node in graph.node}
    assert made["outputs"] == "Concat"
    outside = [node for node in graph.node if not node.name.startswith("network/")]
    assert Counter(node.op_type for node in outside)["MatMul"] == 2
    for node in outside:
        if node.op_type in ("MatMul", "Sub", "Div", "Concat", "Add", "Mul"):
            assert "DequantizeLinear" not in {made.get(name) for name in node.input}
    found = Session(quantized).outputs(samples(inputs, 200, seed=2))
    assert len(np.unique(found[:, 3])) > 150


def test_weights_have_a_scale_for_each_channel() -> None:
    module = sample_network("convnet", width=0.5)
    quantized = to_int8(to_onnx(module, {}), samples(IMAGE, 32))
    graph = onnx.load_from_string(quantized).graph
    sizes = {each.name: list(each.dims) for each in graph.initializer}
    scales = [size for name, size in sizes.items() if name.endswith("weight_scale")]
    assert scales
    assert all(size and size[0] > 1 for size in scales)


def test_a_large_network_takes_a_quarter_of_the_bytes() -> None:
    module = sample_network("mlp", width=4)
    content = to_onnx(module, {})
    assert len(to_int8(content, samples(IMAGE, 32))) < 0.3 * len(content)


def test_a_quantized_network_takes_any_number_of_samples_and_size() -> None:
    module = sample_network(image_size=16)
    quantized = Session(to_int8(to_onnx(module, {}), samples(IMAGE, 32)))
    for count, size in ((1, (16, 16)), (5, (30, 41))):
        pixels = np.zeros((count, 3, *size), np.uint8)
        assert quantized.outputs({"image": pixels}).shape == (count, 3)


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    to_int8(to_onnx(sample_network(), {}), samples(IMAGE, 8))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_quantized_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match="onnxruntime cannot quantize the student") as caught:
        to_int8(b"no file of ONNX", samples(IMAGE, 8))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""
