"""How long a network takes for one image, on a core that no training uses."""

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
from kdsearch.models.dry_run import blank_images, evaluating
from kdsearch.models.network import Network
from kdsearch.models.signals import ImageShape

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""

FEWEST = 10
"""Forward passes at least, and those of the warm-up."""


@dataclass(frozen=True)
class LatencyReference:
    """A fixed network beside which others are timed: what slows the machine slows both.

    A core alone is not enough. While trials train on the other cores, or another machine of the
    same host works, a forward pass takes a third more or less; what it takes beside a reference
    that is timed in turn stays within a tenth.

    Attributes:
        network: Two convolutions and a classifier, in eval mode.
        microseconds: What it takes for one image; the unit of all latencies beside it.
    """

    network: nn.Module
    microseconds: float

    @staticmethod
    def of(
        image_shape: ImageShape, core: int | None, microseconds: float | None = None
    ) -> LatencyReference:
        """The reference for images of a shape.

        Args:
            image_shape: (channels, height, width) of the images.
            core: As of :func:`measure_latency`.
            microseconds: What was measured before; absent: it is measured now, in a second.
        """
        network = nn.Sequential(
            nn.Conv2d(image_shape[0], 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 10),
        ).eval()
        if microseconds is None:
            image = blank_images(network, image_shape, count=1)
            microseconds = 1e6 * float(np.median(_timed([network], image, 10 * SECONDS, core)))
        return LatencyReference(network, microseconds)


def measure_latency(
    network: Network,
    seconds: float = SECONDS,
    core: int | None = None,
    beside: LatencyReference | None = None,
) -> float:
    """Median microseconds of a forward pass of one image, in eval mode and without compilation.

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
    image = blank_images(network, network.image_shape, count=1)
    if beside is None:
        return 1e6 * float(np.median(_timed([network], image, seconds, core)))
    reference = beside.network.to(image.device, image.dtype)
    taken = _timed([network, reference], image, seconds, core)
    return beside.microseconds * float(np.median(taken[:, 0] / taken[:, 1]))


def _timed(
    networks: Sequence[nn.Module], image: Tensor, seconds: float, core: int | None
) -> np.ndarray:
    """Seconds of forward passes [N, M] of each network in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ExitStack() as stack:
            stack.enter_context(_on_core(core))
            for each in networks:
                stack.enter_context(evaluating(each))
            stack.enter_context(torch.inference_mode())
            for _ in range(FEWEST):
                _pass_each(networks, image)
            end = time.perf_counter() + seconds
            taken: list[list[float]] = []
            while len(taken) < FEWEST or time.perf_counter() < end:
                taken.append(_pass_each(networks, image))
    finally:
        torch.set_num_threads(threads)
    return np.array(taken)


def _pass_each(networks: Sequence[nn.Module], image: Tensor) -> list[float]:
    taken = []
    for network in networks:
        start = time.perf_counter()
        network(image)
        if image.is_cuda:
            torch.cuda.synchronize(image.device)
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
