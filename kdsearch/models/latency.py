"""How long a network takes for one sample, on a core that no training uses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kdsearch.errors import StudyError
from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.inputs import Inputs, images_in
from kdsearch.models.network import Network

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""

FEWEST = 10
"""Forward passes at least, and those of the warm-up."""

_NUMBERS = 64
"""Numbers that a reference takes where there are no images."""

_Case = tuple[nn.Module, Sequence[Tensor]]
"""A network with what it is timed on."""


@dataclass(frozen=True)
class LatencyReference:
    """A fixed network beside which others are timed: what slows the machine slows both.

    A core alone is not enough. While trials train on the other cores, or another machine of the
    same host works, a forward pass takes a third more or less; what it takes beside a reference
    that is timed in turn stays within a tenth.

    Attributes:
        network: In eval mode.
        sample: What it is timed on.
        microseconds: What it takes for that; the unit of all latencies beside it.
    """

    network: nn.Module
    sample: tuple[Tensor, ...]
    microseconds: float

    @staticmethod
    def of(inputs: Inputs, core: int | None, microseconds: float | None = None) -> LatencyReference:
        """The reference for networks of some inputs.

        Args:
            inputs: What the networks take; the reference takes the image among them, if any.
            core: As of :func:`measure_latency`.
            microseconds: What was measured before; absent: it is measured now, in a second.
        """
        image_shape = images_in(inputs)
        network = _of_numbers() if image_shape is None else _of_images(image_shape[0])
        sample = (torch.zeros(1, *(image_shape or (_NUMBERS,))),)
        if microseconds is None:
            taken = _timed([(network, sample)], 10 * SECONDS, core)
            microseconds = 1e6 * float(np.median(taken))
        return LatencyReference(network, sample, microseconds)


def _of_images(channels: int) -> nn.Module:
    """Two convolutions and a classifier."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    ).eval()


def _of_numbers() -> nn.Module:
    """Three linear layers."""
    units = nn.Linear(_NUMBERS, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    return nn.Sequential(*units).eval()


def measure_latency(
    network: Network,
    seconds: float = SECONDS,
    core: int | None = None,
    beside: LatencyReference | None = None,
) -> float:
    """Median microseconds of a forward pass of one sample, in eval mode and without compilation.

    On the device where the network is; on a processor with one thread. It is what it is on this
    machine, at this moment: repeated, it may differ by several per cent, beside a reference by
    fewer. (PyTorch's own timer is in a package whose import warns on standard error of a missing
    compiler.)

    Args:
        network: The network; its mode and its weights stay as they are.
        seconds: How long it is timed.
        core: The core to run on (:func:`reserved_core`); absent: whichever the system gives.
        beside: A reference that is timed in turn; absent: the time as it is now.
    """
    sample = blank_inputs(network, network.inputs, count=1)
    if beside is None:
        return 1e6 * float(np.median(_timed([(network, sample)], seconds, core)))
    first = sample[0]
    reference = beside.network.to(first.device, first.dtype)
    theirs = [each.to(first.device, first.dtype) for each in beside.sample]
    taken = _timed([(network, sample), (reference, theirs)], seconds, core)
    return beside.microseconds * float(np.median(taken[:, 0] / taken[:, 1]))


def _timed(cases: Sequence[_Case], seconds: float, core: int | None) -> np.ndarray:
    """Seconds of forward passes [N, M] of each network in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ExitStack() as stack:
            stack.enter_context(_on_core(core))
            for network, _ in cases:
                stack.enter_context(evaluating(network))
            stack.enter_context(torch.inference_mode())
            for _ in range(FEWEST):
                _pass_each(cases)
            end = time.perf_counter() + seconds
            taken: list[list[float]] = []
            while len(taken) < FEWEST or time.perf_counter() < end:
                taken.append(_pass_each(cases))
    finally:
        torch.set_num_threads(threads)
    return np.array(taken)


def _pass_each(cases: Sequence[_Case]) -> list[float]:
    taken = []
    for network, sample in cases:
        start = time.perf_counter()
        network(*sample)
        if sample[0].is_cuda:
            torch.cuda.synchronize(sample[0].device)
        taken.append(time.perf_counter() - start)
    return taken


def reserved_core() -> int | None:
    """The core on which a study measures latencies while trials train: the last of this process's.

    ``None`` where a process cannot choose its cores (elsewhere than on Linux): there latencies
    suffer from what else runs.

    Raises:
        StudyError: This process has one core alone.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        raise StudyError(
            "latency is measured on a core that no trial uses, and this machine gives one core "
            "alone; run the study on one with more, or weigh parameters, macs or bytes instead"
        )
    return max(cores)


def leave_core(core: int | None) -> None:
    """Keep this process, every thread of it and whatever it starts, off a core.

    ``None``, or a process that has no other core, changes nothing.
    """
    if core is None:
        return
    others = os.sched_getaffinity(0) - {core}
    for thread in os.listdir("/proc/self/task") if others else ():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread), others)


@contextmanager
def _on_core(core: int | None) -> Iterator[None]:
    """This thread on one core, and then where it was before."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
