"""The latency of networks as a study measures it: by onnxruntime here, or by a command."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdsearch.data import Scale
from kdsearch.graphs.device_command import command_latency
from kdsearch.graphs.int8_file import to_int8
from kdsearch.graphs.latency import (
    LatencyReference,
    Run,
    measure_latency,
    measure_together,
    run_of,
)
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import Network, build_network
from kdsearch.models.inputs import Inputs, of_images
from kdsearch.problems import Head
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.latency import LatencySection

_CALIBRATION = 8
"""Samples of noise by which a network is quantized of which only size and speed are asked."""


class Stopwatch:
    """Measures latencies for one study.

    Args:
        setting: How they are measured.
        core: The core on which they are; ``None`` where there is no such, or a command measures.
    """

    def __init__(self, setting: LatencySection | None = None, core: int | None = None) -> None:
        self.setting, self.core = setting or LatencySection(), core
        self._reference: LatencyReference | None = None

    def reference(self, microseconds: float | None = None) -> LatencyReference:
        """The network beside which latencies are measured; the same from its first use on.

        Args:
            microseconds: What it took when the study began; absent: measured at its first use.
        """
        if self._reference is None or microseconds is not None:
            run = _reference_run() if self._reference is None else self._reference.run
            self._reference = LatencyReference.of(run, self.core, microseconds)
        return self._reference

    def microseconds(self, content: bytes) -> float:
        """Of one run of an ONNX file on a batch.

        Raises:
            RunError: The command fails.
        """
        if self.setting.command is not None:
            return self._by_command(content)
        return measure_latency(self._run(content), core=self.core, beside=self.reference())

    def together(self, contents: Sequence[bytes]) -> list[float]:
        """Of each of several, in interleaved runs where they are measured here.

        Raises:
            RunError: The command fails.
        """
        if self.setting.command is not None:
            return [self._by_command(content) for content in contents]
        return measure_together([self._run(content) for content in contents], core=self.core)

    def _run(self, content: bytes) -> Run:
        return run_of(content, self.setting.batch, self.setting.threads)

    def _by_command(self, content: bytes) -> float:
        setting = self.setting
        assert setting.command is not None
        return command_latency(setting.command, content, setting.timeout, setting.retries)


def files_of(
    network: Network, heads: Sequence[Head], inputs: Inputs, int8: bool = True
) -> tuple[bytes, bytes | None]:
    """A network as ONNX files, float32 and quantized, of which only size and speed are asked.

    Args:
        network: Its weights may be any.
        heads: Its tasks.
        inputs: What it takes of a sample.
        int8: Whether it is quantized too.

    Raises:
        ModelError: It cannot be exported.
        RunError: It cannot be quantized.
    """
    halves = {name: (0.5,) * each.shape[0] for name, each in inputs.items()}
    scales = {name: Scale(each, each) for name, each in halves.items()}
    module = SampleNetwork(network.cpu().eval(), heads, inputs, scales)
    content = to_onnx(module, {}, packed=False)
    return content, to_int8(content, _noise(inputs)) if int8 else None


def _noise(inputs: Inputs) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        name: generator.integers(0, 256, (_CALIBRATION, *each.shape), dtype=np.uint8)
        if each.kind == "image"
        else generator.standard_normal((_CALIBRATION, *each.shape))
        for name, each in inputs.items()
    }


def _reference_run() -> Run:
    """A small convolutional network on one image of 3×32×32."""
    inputs, heads = of_images((3, 32, 32)), (Head(names=tuple(map(str, range(10)))),)
    network = build_network(ModelConfig(family="convnet", width=1.0, depth=3), inputs, 10)
    return run_of(files_of(network, heads, inputs, int8=False)[0])
