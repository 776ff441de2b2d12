"""The ONNX file of an architecture, written once and filled with the weights of each training.

Tracing and writing take 0.7 s of CPU for a small network and several for a deep one; filling in
weights takes some hundredths of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.graphs.onnx_file import write_onnx
from kdsearch.graphs.program import to_program
from kdsearch.graphs.samples import SampleNetwork

_CONVOLUTIONS = ("aten.conv1d.default", "aten.conv2d.default", "aten.convolution.default")
_NORM = "aten.batch_norm.default"


@dataclass(frozen=True)
class _Fold:
    """A convolution with the batch normalisation behind it, by the names of their tensors."""

    weight: str
    scale: str
    shift: str
    mean: str
    variance: str
    epsilon: float
    bias: str | None


class Template:
    """The ONNX file of an architecture, for any weights of it.

    Args:
        module: A network of the architecture, on the processor.
        metadata: What is written into the files.

    Raises:
        ModelError: As :func:`~kdsearch.graphs.onnx_file.to_onnx`; or the file's weights do not
            follow from the network's in a known way. Write such networks one by one.
    """

    def __init__(self, module: SampleNetwork, metadata: Mapping[str, str]) -> None:
        import onnx

        module = _of_no_special_weights(module)
        program = to_program(module)
        self._like = _told(module)
        self._model = onnx.load_from_string(write_onnx(module, program, metadata))
        graph = self._model.graph
        present = {each.name for each in graph.initializer}
        folds = [fold for fold in _folds(program) if fold.mean not in present]
        self._folds = {fold.weight: fold for fold in folds}
        self._biases = {
            node.input[2]: node.input[1]
            for node in graph.node
            if node.op_type == "Conv" and node.input[1] in self._folds
        }
        own = {name for fold in folds for name in vars(fold).values() if isinstance(name, str)}
        lost = _used(program) - present - own
        if lost:
            family = module.network.family or type(module.network).__name__
            raise ModelError(
                f"the ONNX file of {family} does not hold {min(lost)} as it is; write the files of "
                "its trainings one by one"
            )

    def with_weights(self, module: SampleNetwork) -> bytes:
        """The file of another network of the architecture.

        Raises:
            ValueError: It differs in more than its weights.
        """
        from onnx import numpy_helper

        if _told(module) != self._like:
            raise ValueError("the networks of a template differ in their weights alone")
        state = {
            k: v.detach().numpy() for k, v in module.state_dict().items() if torch.is_tensor(v)
        }
        model = type(self._model)()
        model.CopyFrom(self._model)
        for each in model.graph.initializer:
            values = self._values(each.name, state)
            if values is not None:
                shape = tuple(each.dims)
                each.CopyFrom(numpy_helper.from_array(values.reshape(shape), each.name))
        return model.SerializeToString()

    def _values(self, name: str, state: Mapping[str, np.ndarray]) -> np.ndarray | None:
        if name in self._biases:
            fold = self._folds[self._biases[name]]
            bias = 0.0 if fold.bias is None else state[fold.bias]
            return state[fold.shift] + (bias - state[fold.mean]) * _factor(fold, state)
        if name in self._folds:
            weight, factor = state[name], _factor(self._folds[name], state)
            return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        return state.get(name)


def _factor(fold: _Fold, state: Mapping[str, np.ndarray]) -> np.ndarray:
    factor = state[fold.scale] / np.sqrt(state[fold.variance] + np.float32(fold.epsilon))
    return factor.astype(np.float32)


def _told(module: SampleNetwork) -> tuple[Any, ...]:
    """What networks of one template have in common."""
    shapes = [(name, tuple(values.shape)) for name, values in _tensors(module).items()]
    return module.heads, module.inputs, module.scales, module.image_size, shapes


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, without gradients."""
    state = module.state_dict()
    return {name: each.detach() for name, each in state.items() if isinstance(each, Tensor)}


def _of_no_special_weights(module: SampleNetwork) -> SampleNetwork:
    """A copy without zeros and ones, such as biases begin with, which the exporter leaves out."""
    other = deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    for values in _tensors(other).values():
        if values.is_floating_point():
            values.add_(0.01 + 0.01 * torch.rand(values.shape, generator=generator))
    return other


def _names(program: Any) -> dict[str, str]:
    """Names of parameters and buffers by those of the graph's placeholders."""
    signature = program.graph_signature
    return {**signature.inputs_to_parameters, **signature.inputs_to_buffers}


def _used(program: Any) -> set[str]:
    """Names of the parameters and buffers that the graph reads."""
    names = _names(program)
    return {names[node.name] for node in program.graph.nodes if node.name in names and node.users}


def _folds(program: Any) -> Iterator[_Fold]:
    """Every batch normalisation of a convolution that nothing else reads."""
    names = _names(program)
    for node in program.graph.nodes:
        if node.op != "call_function" or str(node.target) != _NORM:
            continue
        behind, scale, shift, mean, variance, *_, epsilon, _ = node.args
        if str(behind.target) not in _CONVOLUTIONS or len(behind.users) > 1:
            continue
        bias = behind.args[2] if len(behind.args) > 2 else None
        tensors = [behind.args[1], scale, shift, mean, variance, *([] if bias is None else [bias])]
        known = [names.get(getattr(each, "name", "")) for each in tensors]
        told = [name for name in known if name is not None]
        if len(told) == len(tensors):
            weight, gamma, beta, average, spread, *own_bias = told
            yield _Fold(
                weight,
                gamma,
                beta,
                average,
                spread,
                float(epsilon),
                own_bias[0] if own_bias else None,
            )
