"""A network as an ONNX file, with what its user must know, and the check that it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from kdsearch.errors import ModelError, described
from kdsearch.graphs.compare import TOLERANCE, compare
from kdsearch.graphs.packed import packs, with_packed_weights
from kdsearch.graphs.program import to_program
from kdsearch.graphs.quiet import quiet
from kdsearch.graphs.run import Session
from kdsearch.graphs.samples import SampleNetwork

OPSET = 20
"""Version of ONNX's operators in every file."""

OUTPUT = "outputs"
"""Name of the one output."""

_SMALL = 64
"""Constants of more bytes, or values, are not folded where weights are packed."""

NETWORK = "network/"
"""What the names of the nodes of the network itself start with; the others prepare samples, and
bring values into their own unit."""


def to_onnx(module: SampleNetwork, metadata: Mapping[str, str], packed: bool = True) -> bytes:
    """A network as an ONNX file of any number of samples.

    Its inputs have the names of the data's, images uint8 and numbers float64; its one output is
    ``outputs``, float32.

    Args:
        module: The network, on the processor; its mode is left as it was.
        metadata: What is written into the file, such as what
            :func:`~kdsearch.graphs.metadata.metadata_of` tells.
        packed: Whether weights are in the file as the network's way stores them. The graph unpacks
            them, which onnxruntime does once, when it loads the file. The network must be trained.

    Raises:
        ModelError: It cannot be traced, or ONNX lacks an operator.
    """
    import onnx

    packed = packed and packs(module)
    program = to_program(with_packed_weights(module) if packed else module)
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(module.inputs),
                output_names=[OUTPUT],
                verbose=False,
                optimize=not packed,
            )
            assert made is not None
            if packed:
                _optimize(made.model)
    except Exception as error:
        raise ModelError(
            f"{module.called} cannot be written as ONNX ({described(_cause(error))}); ship it as "
            "pt2, or build it of other operators"
        ) from error
    model = made.model_proto
    _tidy(model, module)
    if packed:
        del model.graph.value_info[:]  # shapes between operators, of which unpacking has many
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def with_plain_weights(content: bytes, module: SampleNetwork, metadata: Mapping[str, str]) -> bytes:
    """A file of :func:`to_onnx` without packed weights, as it is quantized; itself if it has none.

    Args:
        content: The file.
        module: As it was given.
        metadata: As it was given.
    """
    return to_onnx(module, metadata, packed=False) if packs(module) else content


def check_onnx(
    content: bytes,
    module: SampleNetwork,
    samples: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
) -> float:
    """Compare an ONNX file, run by onnxruntime, with the network in PyTorch.

    Returns:
        The largest difference, as :func:`~kdsearch.graphs.compare.largest_difference` tells it.

    Args:
        content: The file.
        module: The network.
        samples: Real samples by input, as the data have them.
        tolerance: What the difference may be.

    Raises:
        RunError: It is larger, or not a number.
    """
    return compare(Session(content).outputs(samples), module, samples, "ONNX file", tolerance)


def _optimize(model: Any) -> None:
    """Fold what is constant, but for packed weights: they would be as large as before."""
    from onnxscript.optimizer import optimize_ir

    optimize_ir(model, input_size_limit=_SMALL, output_size_limit=_SMALL)


def _tidy(model: Any, module: SampleNetwork) -> None:
    """Name axes and nodes by what they are; leave out what says where the code lies on disk."""
    graph = model.graph
    axes = ("batch", "channels", "height", "width")
    renamed = {}
    for value in graph.input:
        for axis, size in zip(axes, value.type.tensor_type.shape.dim, strict=False):
            if size.dim_param:
                name = (
                    axis if axis == "batch" or len(module.inputs) == 1 else f"{value.name}_{axis}"
                )
                renamed[size.dim_param] = name
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in renamed:
                size.dim_param = renamed[size.dim_param]
    for node in graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key.endswith("name_scopes")), "")
        node.name = f"{NETWORK if _in_network(scopes) else ''}{node.name}"
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
    for part in graph.initializer:
        del part.metadata_props[:]


def _in_network(scopes: str) -> bool:
    return "'network'" in scopes and "'network.preparation'" not in scopes


def _cause(error: BaseException) -> BaseException:
    """What the exporter stumbled on, below its own reports."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
