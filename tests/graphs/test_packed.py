"""Files whose weights are packed: as small as on disk, as exact, and as fast as plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.packed import packs, with_packed_weights
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import build_network
from kdsearch.models.inputs import Inputs
from kdsearch.models.weights.saving import shipped_content
from kdsearch.spec.concrete import ModelConfig
from kdsearch.ways import make_ways, storing, way_configs
from kdsearch.ways.constraints import settle
from kdsearch.ways.layers import Weighted
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, samples, scales

LABELS = ["sparse", "two_of_four", "codebook", "quantize", "share+quantize"]


def trained(
    label: str,
    family: str = "resnet",
    stored: Literal["float32", "float16"] = "float32",
    bits: int = 8,
) -> SampleNetwork:
    """A network whose weights have the form of a way."""
    inputs: Inputs = NUMBERS if family == "mlp" else IMAGE
    values = {"bits": bits} if label == "quantize" else {}
    depth = {"resnet": 14, "mlp": 3}[family]
    config = ModelConfig(
        family=family, width=1.0, depth=depth, stored=stored, ways=way_configs(label, values)
    )
    torch.manual_seed(1)
    network = build_network(config, inputs, 3)
    for way in make_ways(config.ways):
        way.constrain(network)
        for done in range(1, 5):
            way.step(network, done, 4)
    settle(network)
    return SampleNetwork(network.eval(), [CLASSES], network.inputs, scales(inputs))


@pytest.mark.parametrize("family", ["resnet", "mlp"])
@pytest.mark.parametrize("label", LABELS)
def test_a_file_is_as_small_as_the_stored_weights_and_as_exact(label: str, family: str) -> None:
    module = trained(label, family)
    packed, plain = to_onnx(module, {}), to_onnx(module, {}, packed=False)
    given = samples(module.inputs, 9)
    assert check_onnx(packed, module, given) < 1e-5
    nodes = len(onnx.load_from_string(packed).graph.node)
    assert len(packed) < len(shipped_content(module.network)) + 150 * nodes
    assert len(packed) < 0.7 * len(plain)


@pytest.mark.parametrize("label", LABELS)
def test_onnxruntime_unpacks_when_it_loads_the_file(label: str, tmp_path: Path) -> None:
    module = trained(label)
    run = []
    for packed in (True, False):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "run.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(to_onnx(module, {}, packed=packed), options)
        run.append(sorted(node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node))
    assert run[0] == run[1]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_numbers_of_few_bits_take_few_bytes(bits: int) -> None:
    module = trained("quantize", bits=bits)
    assert check_onnx(to_onnx(module, {}), module, samples(module.inputs, 9)) < 1e-5
    kept = onnx.load_from_string(to_onnx(module, {})).graph.initializer
    numbers = [numpy_helper.to_array(each) for each in kept if each.name.endswith("numbers")]
    counts = [layer.weight.numel() for name, layer in _changed(module) if name != "classifier"]
    sizes = [count * (2 if bits == 2 else 4) // 8 for count in counts]
    assert [len(each) for each in numbers if len(each) > 96] == sizes


def test_values_have_the_precision_in_which_the_student_is_shipped() -> None:
    module = trained("sparse", stored="float16")
    kept = onnx.load_from_string(to_onnx(module, {})).graph.initializer
    values = [each for each in kept if each.name.endswith("weight.0.values")]
    assert len(values) == len(list(_changed(module))) - 1  # few values of the head are folded
    assert {each.data_type for each in values} == {onnx.TensorProto.FLOAT16}


def test_a_network_whose_layers_alone_are_changed_is_written_as_it_is() -> None:
    module = trained("low_rank")
    assert not packs(module)
    assert to_onnx(module, {}) == to_onnx(module, {}, packed=False)


def test_the_network_itself_stays_as_it_is() -> None:
    module = trained("quantize")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with_packed_weights(module)
    after = module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def _changed(module: SampleNetwork) -> Iterator[tuple[str, Weighted]]:
    assert module.network.config is not None
    way = storing(make_ways(module.network.config.ways))
    assert way is not None
    return way.layers(module.network)
