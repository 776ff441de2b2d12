"""The one interface of every network, teacher or student."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from torch import Tensor, nn

from kdsearch.models.dry_run import blank_pictures, evaluating
from kdsearch.models.signals import ImageShape, Signal, Signals, SignalShapes

__all__ = ["ImageShape", "Network"]


class Network(nn.Module, ABC):
    """A classifier of pictures whose inner answers can be observed.

    Args:
        image_shape: (channels, height, width) of the pictures.
        classes: Number of classes.
    """

    def __init__(self, image_shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.classes = classes

    @abstractmethod
    def trace(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Logits [B, K], embedding [B, D] and stage maps [B, C, H, W] of pictures [B, C, H, W]."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K] of normalised pictures [B, C, H, W]."""
        return self.trace(images)[0]

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The logits and exactly the other signals that are wanted."""
        logits, embedding, features = self.trace(images)
        return Signals(
            logits=logits,
            embedding=embedding if Signal.EMBEDDING in wanted else None,
            features=features if Signal.FEATURES in wanted else (),
            attention=tuple(stage.pow(2).mean(dim=1) for stage in features)
            if Signal.ATTENTION in wanted
            else (),
        )

    def signal_shapes(self) -> SignalShapes:
        """Shapes of the signals, found by one forward pass of two blank pictures in eval mode."""
        with evaluating(self):
            logits, embedding, features = self.trace(blank_pictures(self, self.image_shape, 2))
        return SignalShapes(
            classes=logits.shape[1],
            embedding=embedding.shape[1],
            features=tuple((f.shape[1], f.shape[2], f.shape[3]) for f in features),
        )
