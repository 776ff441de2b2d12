"""How long a network takes for one picture."""

from __future__ import annotations

import torch
from torch.utils.benchmark import Timer

from kdsearch.models.dry_run import blank_pictures, evaluating
from kdsearch.models.network import Network

SECONDS = 0.1
"""So long a network is timed, after a warm-up."""


def measure_latency(network: Network, seconds: float = SECONDS) -> float:
    """Median microseconds of a forward pass of one picture, in eval mode and without compilation.

    On the device where the network is; on a processor with one thread. It is what it is on this
    machine, at this moment: repeated, it may differ by several per cent.

    Args:
        network: The network; its mode and its weights stay as they are.
        seconds: How long it is timed.
    """
    picture = blank_pictures(network, network.image_shape, count=1)
    timer = Timer("network(picture)", globals={"network": network, "picture": picture})
    with evaluating(network), torch.inference_mode():
        return 1e6 * timer.blocked_autorange(min_run_time=seconds).median
