"""The teacher: one object that owns its frozen network."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from kdsearch.models import Network, Signal, Signals, SignalShapes


class Teacher:
    """A frozen network in eval mode.

    It is no ``nn.Module`` and registers nowhere, so no ``.train()`` of a parent can wake its batch
    normalisation and no optimiser or checkpoint of a student can pick up its weights.

    Args:
        network: The trained network; it is frozen in place.
        device: Where it answers.
    """

    def __init__(self, network: Network, device: torch.device | str = "cpu") -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.shapes: SignalShapes = self.network.signal_shapes()

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of normalised pictures [B, C, H, W], without gradient."""
        with torch.no_grad():
            return self.network.observe(images, wanted)
