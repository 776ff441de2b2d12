"""Any classifier as a network: torchvision's models and the user's own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from kdsearch.models.inputs import Inputs
from kdsearch.models.network import Network, Trace
from kdsearch.models.signals import Signal
from kdsearch.models.taps.find_taps import find_taps
from kdsearch.models.taps.outputs import main_logits
from kdsearch.models.taps.taps import read

WRAPPER = "model."
"""What the names of a network that kdsearch wraps start with."""


class TappedNetwork(Network):
    """A module whose signals are read by forward hooks that live for one forward pass.

    :func:`~kdsearch.models.taps.find_taps.find_taps` says which outputs are the stage maps, which
    activations close the stages, and what the embedding is. Nothing but the places' names is kept,
    so the network copies, pickles and trains in parallel as the module does. A module without
    four-dimensional outputs has no stage maps.

    Args:
        model: Maps inputs, such as images [B, C, H, W], to logits [B, K], alone or in a tuple, a
            list or a dictionary (:func:`~kdsearch.models.taps.outputs.find_logits` says which).
        label: What messages call the module.
        inputs: What it takes, in the order of its arguments.
        classes: Number of classes.

    Raises:
        ModelError: The module does not take such inputs, does not return [B, K] logits, returns
            several and they cannot be told apart, or has no classifier that can be told.
    """

    def __init__(self, model: nn.Module, label: str, inputs: Inputs, classes: int) -> None:
        super().__init__(inputs, classes)
        self.taps = find_taps(model, label, inputs, classes)
        self.model = model

    def trace(self, *inputs: Tensor) -> Trace:
        """Everything that a forward pass of inputs [B, ...] shows."""
        return read(self.model, self.taps, inputs, self.classes)

    def trace_of(self, inputs: Sequence[Tensor], wanted: Collection[Signal]) -> Trace:
        """The logits and what is wanted; nothing else is hooked, so other layers may be skipped."""
        return read(self.model, self.taps, inputs, self.classes, wanted)

    @property
    def head(self) -> nn.Linear | None:
        """The classifier that was found, where it is a linear layer."""
        layer = self.model.get_submodule(self.taps.classifier.module)
        return layer if isinstance(layer, nn.Linear) else None

    def logits_of(self, *inputs: Tensor) -> Tensor:
        """Logits [B, K] of inputs [B, ...], without hooks, as export and serving want it."""
        return main_logits(self.model(*inputs), self.taps.logits, self.classes)
