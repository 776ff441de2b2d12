"""Latencies: what a machine's slowness moves, what is run, and against a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from kdsearch.graphs import latency
from kdsearch.graphs.latency import LatencyReference, measure_latency, measure_together, run_of
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.stopwatch import Stopwatch, files_of
from kdsearch.models import build_network
from kdsearch.spec import ModelConfig
from kdsearch.spec.latency import LatencySection
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, PRICE, sample_network


class Clock:
    """A clock that moves by what networks take on it, times how slow the machine is just then."""

    def __init__(self, slowness: float) -> None:
        self.now, self._slowness, self._runs = 0.0, slowness, 0

    def __call__(self) -> float:
        return self.now

    def taking(self, milliseconds: float) -> Callable[[], None]:
        def run() -> None:
            self._runs += 1
            busy = 1 + 0.5 * (self._runs // 10 % 2)  # by turns
            self.now += milliseconds / 1_000 * self._slowness * busy

        return run


@pytest.mark.parametrize("slowness", [1.0, 3.0])
def test_a_slower_machine_does_not_move_what_is_timed_beside_a_reference(
    monkeypatch: pytest.MonkeyPatch, slowness: float
) -> None:
    """A network takes three times its reference, which took 200 µs when the study began."""
    clock = Clock(slowness)
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=clock))
    reference = LatencyReference(clock.taking(2), microseconds=200.0)
    assert measure_latency(clock.taking(6), beside=reference) == pytest.approx(600)


def test_of_several_each_has_its_own_median(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1.0)
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=clock))
    found = measure_together([clock.taking(1), clock.taking(4)])
    assert found[1] == pytest.approx(4 * found[0], rel=0.6)
    assert 1_000 <= found[0] <= 1_500


def test_what_is_timed_is_the_file_as_onnxruntime_runs_it() -> None:
    module = sample_network("convnet", width=8)
    content = to_onnx(module, {})
    found = measure_latency(run_of(content), seconds=0.3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    taken = []
    for _ in range(60):
        start = time.perf_counter()
        session.run(None, {"image": np.zeros((1, 3, 16, 16), np.uint8)})
        taken.append(time.perf_counter() - start)
    assert found == pytest.approx(1e6 * float(np.median(taken)), rel=0.6)


def test_a_batch_takes_longer_than_one_sample() -> None:
    content = to_onnx(sample_network("convnet", width=4), {})
    one, many = measure_together([run_of(content), run_of(content, batch=64)])
    assert many > 4 * one


def test_a_reference_is_measured_once_and_kept() -> None:
    stopwatch = Stopwatch()
    assert stopwatch.reference().microseconds > 0
    assert stopwatch.reference() is stopwatch.reference()
    assert stopwatch.reference(123.0).microseconds == 123.0
    assert stopwatch.reference().microseconds == 123.0


def test_files_of_random_weights_are_timed_for_every_kind_of_input_and_task() -> None:
    inputs = IMAGE | NUMBERS
    network = build_network(ModelConfig(family="mlp", width=0.25), inputs, 4)
    original, int8 = files_of(network, (CLASSES, PRICE), inputs)
    assert int8 is not None
    setting = LatencySection(batch=3)
    found = Stopwatch(setting).together([original, int8])
    assert all(each > 0 for each in found)
