"""How long a network takes for one picture."""

from __future__ import annotations

import statistics
import time

import torch

from kdsearch.models.dry_run import blank_pictures, evaluating
from kdsearch.models.network import Network

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""

FEWEST = 10
"""Forward passes at least, and those of the warm-up."""


def measure_latency(network: Network, seconds: float = SECONDS) -> float:
    """Median microseconds of a forward pass of one picture, in eval mode and without compilation.

    On the device where the network is; on a processor with one thread. It is what it is on this
    machine, at this moment: repeated, it may differ by several per cent. (PyTorch's own timer is in
    a package whose import warns on standard error of a missing compiler.)

    Args:
        network: The network; its mode and its weights stay as they are.
        seconds: How long it is timed.
    """
    picture = blank_pictures(network, network.image_shape, count=1)

    def timed() -> float:
        start = time.perf_counter()
        network(picture)
        if picture.is_cuda:
            torch.cuda.synchronize(picture.device)
        return time.perf_counter() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with evaluating(network), torch.inference_mode():
            for _ in range(FEWEST):
                timed()
            end = time.perf_counter() + seconds
            taken: list[float] = []
            while len(taken) < FEWEST or time.perf_counter() < end:
                taken.append(timed())
    finally:
        torch.set_num_threads(threads)
    return 1e6 * statistics.median(taken)
