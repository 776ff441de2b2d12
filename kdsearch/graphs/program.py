"""The graph of a network as torch.export traces it, for any number of samples."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.errors import ModelError, described
from kdsearch.graphs.compare import compare
from kdsearch.graphs.quiet import quiet
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models.dry_run import evaluating
from kdsearch.models.inputs import Input

_MARGIN = 3
"""So many pixels are the images of a trace higher than wide: sizes of one name would be one."""


def to_program(module: SampleNetwork) -> torch.export.ExportedProgram:
    """A network in eval mode as a program of any number of samples, and of images of any size.

    Args:
        module: The network, on the processor; its mode is left as it was.

    Raises:
        ModelError: Something in it cannot be traced, or works for one number of samples alone.
    """
    samples = tuple(_blank(module, each) for each in module.inputs.values())
    batch = torch.export.Dim("batch")
    dynamic = (tuple(_dynamic(module, each, batch) for each in module.inputs.values()),)
    try:
        with evaluating(module), quiet():
            return torch.export.export(module, samples, dynamic_shapes=dynamic)
    except Exception as error:
        raise ModelError(
            f"torch.export cannot trace {module.called} ({described(error)}); write its forward "
            "without what depends on values or on the number of samples"
        ) from error


def to_pt2(module: SampleNetwork) -> bytes:
    """The same as a file that ``torch.export.load`` reads.

    Raises:
        ModelError: As :func:`to_program`.
    """
    content = io.BytesIO()
    torch.export.save(to_program(module), content)
    return content.getvalue()


def check_pt2(content: bytes, module: SampleNetwork, samples: Mapping[str, np.ndarray]) -> float:
    """Compare a file of :func:`to_pt2` with the network, as ``check_onnx`` does.

    Raises:
        RunError: Their outputs differ by more than 1e-5.
    """
    program = torch.export.load(io.BytesIO(content)).module()
    with torch.no_grad():
        found = program(*(torch.from_numpy(samples[name]) for name in module.inputs)).numpy()
    return compare(found, module, samples, "program of torch.export")


def _blank(module: SampleNetwork, of: Input) -> Tensor:
    """Two samples of zeros, as the data have them."""
    if of.kind == "numbers":
        return torch.zeros(2, *of.shape, dtype=torch.float64)
    channels, height, width = of.shape
    if module.image_size is not None:
        height, width = height + 2 * _MARGIN, width + _MARGIN
    return torch.zeros(2, channels, height, width, dtype=torch.uint8)


def _dynamic(module: SampleNetwork, of: Input, batch: Any) -> dict[int, Any]:
    if module.image_size is None or of.kind != "image":
        return {0: batch}
    # each input has sizes of its own: AUTO would also take one that the trace fixes
    return {0: batch, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
