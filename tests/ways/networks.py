"""Small networks for ways."""

from __future__ import annotations

import torch

from kdsearch.models import Network, build_network, of_images
from kdsearch.spec.concrete import ModelConfig

INPUTS, CLASSES = of_images((1, 8, 8)), 10


def made(family: str, width: float = 0.5, depth: int | None = None, seed: int = 0) -> Network:
    """A network with random weights, those of normalisation too."""
    torch.manual_seed(seed)
    network = build_network(ModelConfig(family=family, width=width, depth=depth), INPUTS, CLASSES)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and "var" not in name:
            value.add_(0.05 * torch.randn_like(value))
    return network.eval()
