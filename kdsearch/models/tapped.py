"""Any classifier of images as a network: torchvision's models and the user's own."""

from __future__ import annotations

from torch import Tensor, nn

from kdsearch.models.find_taps import find_taps
from kdsearch.models.network import ImageShape, Network, Trace
from kdsearch.models.taps import main_logits, read


class TappedNetwork(Network):
    """A module whose signals are read by forward hooks that live for one forward pass.

    :func:`~kdsearch.models.find_taps.find_taps` says which outputs are the stage maps, which
    activations close the stages, and what the embedding is. Nothing but the places' names is kept,
    so the network copies, pickles and trains in parallel as the module does. A module without
    four-dimensional outputs has no stage maps.

    Args:
        model: Maps images [B, C, H, W] to logits [B, K]; auxiliary outputs may follow.
        label: What messages call the module.
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.

    Raises:
        ModelError: The module does not take such images, does not return [B, K] logits,
            or has no classifier that can be told.
    """

    def __init__(self, model: nn.Module, label: str, image_shape: ImageShape, classes: int) -> None:
        super().__init__(image_shape, classes)
        self.taps = find_taps(model, label, image_shape, classes)
        self.model = model

    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""
        return read(self.model, self.taps, images)

    @property
    def head(self) -> nn.Linear | None:
        """The classifier that was found, where it is a linear layer."""
        layer = self.model.get_submodule(self.taps.classifier.module)
        return layer if isinstance(layer, nn.Linear) else None

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K] of images [B, C, H, W], without hooks, as export and serving want it."""
        return main_logits(self.model(images))
