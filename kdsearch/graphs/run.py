"""ONNX files run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_TYPES = {"tensor(uint8)": np.uint8, "tensor(double)": np.float64}
"""Types of inputs: images and numbers."""

_QUIET = 3
"""onnxruntime's level of severity from which on it tells: errors."""


class Session:
    """An ONNX file ready to be run on the processor, by onnxruntime.

    Args:
        content: The file.
        threads: How many threads an operator may use.

    Attributes:
        inputs: Names of what it takes of a sample.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(_QUIET)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.inputs = [each.name for each in self._session.get_inputs()]

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def blank(self, batch: int) -> dict[str, np.ndarray]:
        """A batch of zeros by input, for a file whose samples have one size."""
        return {
            each.name: np.zeros((batch, *each.shape[1:]), _TYPES[each.type])
            for each in self._session.get_inputs()
        }

    def outputs(self, samples: Mapping[str, np.ndarray]) -> np.ndarray:
        """Outputs [B, S] of a batch: float32, as the network gives them.

        Args:
            samples: By input: images uint8 [B, C, H, W], numbers float64 [B, D].
        """
        fed = {name: np.ascontiguousarray(samples[name]) for name in self.inputs}
        return self._session.run(None, fed)[0]
