"""An ONNX file with 8-bit weights and activations, quantized after training by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kdsearch.errors import RunError, described
from kdsearch.graphs.onnx_file import NETWORK
from kdsearch.graphs.quiet import quiet

CALIBRATION = 512
"""Samples of the training split that tell the ranges of activations: so many are enough."""

_BATCH = 32

_WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Operators behind which a tensor is no longer made of samples alone."""


def to_int8(content: bytes, calibration: Mapping[str, np.ndarray]) -> bytes:
    """Quantize a file of :func:`~kdsearch.graphs.onnx_file.to_onnx` after training.

    Static quantization in QDQ form: weights with a scale for each output channel, activations as
    uint8 with one scale a tensor, from their smallest to their largest value over the calibration
    samples. Weights take 7 of their 8 bits: products of unsigned with signed bytes then saturate on
    no processor, so that a file answers everywhere as where it was judged.

    In float32 stay what prepares samples, and what brings values into their own unit; the outputs
    of linear layers, since logits and values in 256 steps would tie; and convolutions that read
    the samples themselves. The rounding errors of their few weights add up over even areas of an
    image, and they are small (https://arxiv.org/abs/1806.08342 advises the same).

    Args:
        content: The file.
        calibration: Samples of the training data by input, as the data have them.

    Raises:
        RunError: It cannot be quantized.
    """
    try:
        with quiet(), TemporaryDirectory(prefix="kdsearch-int8-") as folder:
            return _quantized(content, calibration, Path(folder))
    except Exception as error:
        raise RunError(
            f"onnxruntime cannot quantize the student ({described(error)}); ship it in float32"
        ) from error


def _quantized(content: bytes, calibration: Mapping[str, np.ndarray], folder: Path) -> bytes:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    original, prepared, quantized = (folder / f"{name}.onnx" for name in ("float", "ready", "int8"))
    original.write_bytes(content)
    quant_pre_process(original, prepared, skip_symbolic_shape=True)
    model = onnx.load(prepared)
    quantize_static(
        model,
        quantized,
        _reader(calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=True,
        nodes_to_exclude=_kept(model.graph),
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
    )
    made = onnx.load(quantized)
    facts = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(made, facts | {"quantization": "int8, static, per channel, QDQ"})
    return made.SerializeToString()


def _kept(graph: Any) -> list[str]:
    """Names of the nodes that stay in float32."""
    constant = {each.name for each in graph.initializer} | {""}
    raw = {each.name for each in graph.input}
    kept = []
    for node in graph.node:
        if not node.name.startswith(NETWORK):
            kept.append(node.name)
        elif node.op_type == "Conv" and node.input[0] in raw:
            kept.append(node.name)
            continue
        elif node.op_type in _WEIGHTED:
            continue
        if all(name in raw for name in node.input if name not in constant):
            raw.update(node.output)
    return kept


def _reader(calibration: Mapping[str, np.ndarray]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """The samples in batches."""

        def __init__(self) -> None:
            count = len(next(iter(calibration.values())))
            self._starts = iter(range(0, count, _BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:
            start = next(self._starts, None)
            if start is None:
                return None
            return {
                name: np.ascontiguousarray(each[start : start + _BATCH])
                for name, each in calibration.items()
            }

    return Reader()
