"""Any classifier of images as a network: torchvision's models and the user's own."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from kdsearch.models.network import ImageShape, Network, Trace
from kdsearch.models.signals import Signal
from kdsearch.models.taps.find_taps import find_taps
from kdsearch.models.taps.outputs import main_logits
from kdsearch.models.taps.taps import read


class TappedNetwork(Network):
    """A module whose signals are read by forward hooks that live for one forward pass.

    :func:`~kdsearch.models.taps.find_taps.find_taps` says which outputs are the stage maps, which
    activations close the stages, and what the embedding is. Nothing but the places' names is kept,
    so the network copies, pickles and trains in parallel as the module does. A module without
    four-dimensional outputs has no stage maps.

    Args:
        model: Maps images [B, C, H, W] to logits [B, K], alone or in a tuple, a list or a
            dictionary (:func:`~kdsearch.models.taps.outputs.find_logits` says which are taken).
        label: What messages call the module.
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.

    Raises:
        ModelError: The module does not take such images, does not return [B, K] logits, returns
            several and they cannot be told apart, or has no classifier that can be told.
    """

    def __init__(self, model: nn.Module, label: str, image_shape: ImageShape, classes: int) -> None:
        super().__init__(image_shape, classes)
        self.taps = find_taps(model, label, image_shape, classes)
        self.model = model

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        return read(self.model, self.taps, images, self.classes)

    def trace_of(self, images: Tensor, wanted: Collection[Signal]) -> Trace:
        """The logits and what is wanted; nothing else is hooked, so other layers may be skipped."""
        return read(self.model, self.taps, images, self.classes, wanted)

    @property
    def head(self) -> nn.Linear | None:
        """The classifier that was found, where it is a linear layer."""
        layer = self.model.get_submodule(self.taps.classifier.module)
        return layer if isinstance(layer, nn.Linear) else None

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K] of images [B, C, H, W], without hooks, as export and serving want it."""
        return main_logits(self.model(images), self.taps.logits, self.classes)
