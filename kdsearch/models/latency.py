"""How long a network takes for one image, on a core that no training uses."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from kdsearch.errors import StudyError
from kdsearch.models.dry_run import blank_images, evaluating
from kdsearch.models.network import Network

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""

FEWEST = 10
"""Forward passes at least, and those of the warm-up."""


def measure_latency(network: Network, seconds: float = SECONDS, core: int | None = None) -> float:
    """Median microseconds of a forward pass of one image, in eval mode and without compilation.

    On the device where the network is; on a processor with one thread. It is what it is on this
    machine, at this moment: repeated, it may differ by several per cent. (PyTorch's own timer is in
    a package whose import warns on standard error of a missing compiler.)

    Args:
        network: The network; its mode and its weights stay as they are.
        seconds: How long it is timed.
        core: The core to run on (:func:`reserved_core`); absent: whichever the system gives.
    """
    image = blank_images(network, network.image_shape, count=1)

    def timed() -> float:
        start = time.perf_counter()
        network(image)
        if image.is_cuda:
            torch.cuda.synchronize(image.device)
        return time.perf_counter() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _on_core(core), evaluating(network), torch.inference_mode():
            for _ in range(FEWEST):
                timed()
            end = time.perf_counter() + seconds
            taken: list[float] = []
            while len(taken) < FEWEST or time.perf_counter() < end:
                taken.append(timed())
    finally:
        torch.set_num_threads(threads)
    return 1e6 * statistics.median(taken)


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
