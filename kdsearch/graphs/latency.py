"""How long onnxruntime takes for a network, on a core that no training uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kdsearch.graphs.cores import on_core
from kdsearch.graphs.run import Session

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""

FEWEST = 10
"""Runs at least, and those of the warm-up."""

Run = Callable[[], object]
"""One run of a network on its samples."""


@dataclass(frozen=True)
class LatencyReference:
    """A fixed network beside which others are timed: what slows the machine slows both.

    A core alone is not enough. While trials train on the other cores, or another machine of the
    same host works, a forward pass takes a third more or less; what it takes beside a reference
    that is timed in turn stays within a tenth.

    Attributes:
        run: Runs it.
        microseconds: What it takes for that; the unit of all latencies beside it.
    """

    run: Run
    microseconds: float

    @staticmethod
    def of(run: Run, core: int | None, microseconds: float | None = None) -> LatencyReference:
        """The reference with its time.

        Args:
            run: Runs it.
            core: As of :func:`measure_latency`.
            microseconds: What was measured before; absent: it is measured now, in a second.
        """
        if microseconds is None:
            microseconds = 1e6 * float(np.median(_timed([run], 10 * SECONDS, core)))
        return LatencyReference(run, microseconds)


def run_of(content: bytes, batch: int = 1, threads: int = 1) -> Run:
    """Runs an ONNX file on a batch of blank samples."""
    session = Session(content, threads)
    samples = session.blank(batch)
    return lambda: session.outputs(samples)


def measure_latency(
    run: Run,
    seconds: float = SECONDS,
    core: int | None = None,
    beside: LatencyReference | None = None,
) -> float:
    """Median microseconds of a run on the processor.

    It is what it is on this machine, at this moment: repeated, it may differ by several per cent,
    beside a reference by fewer.

    Args:
        run: Runs the network (:func:`run_of`).
        seconds: How long it is timed.
        core: The core to run on (:func:`~kdsearch.graphs.cores.reserved_core`); absent: whichever
            the system gives.
        beside: A reference that is timed in turn; absent: the time as it is now.
    """
    if beside is None:
        return 1e6 * float(np.median(_timed([run], seconds, core)))
    taken = _timed([run, beside.run], seconds, core)
    return beside.microseconds * float(np.median(taken[:, 0] / taken[:, 1]))


def measure_together(
    runs: Sequence[Run], seconds: float = SECONDS, core: int | None = None
) -> list[float]:
    """Median microseconds of each of several, run in turn; each for so many seconds."""
    taken = _timed(runs, seconds * len(runs), core)
    return [1e6 * float(each) for each in np.median(taken, axis=0)]


def _timed(runs: Sequence[Run], seconds: float, core: int | None) -> np.ndarray:
    """Seconds of each run in turn [N, M]."""
    with on_core(core):
        for _ in range(FEWEST):
            _run_each(runs)
        end = time.perf_counter() + seconds
        taken: list[list[float]] = []
        while len(taken) < FEWEST or time.perf_counter() < end:
            taken.append(_run_each(runs))
    return np.array(taken)


def _run_each(runs: Sequence[Run]) -> list[float]:
    taken = []
    for run in runs:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return taken
