"""The one interface of every network, teacher or student."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from torch import Tensor, nn

from kdsearch.models.dry_run import blank_images, evaluating
from kdsearch.models.signals import ImageShape, Signal, Signals, SignalShapes, Trace

__all__ = ["ImageShape", "Network", "Trace"]


class Network(nn.Module, ABC):
    """A classifier of images whose inner signals can be observed.

    Args:
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.

    Attributes:
        family: The family in the spec that it was built from; empty for one made by hand.
    """

    pools_last_map = False
    """Whether the embedding is the last stage map averaged over its pixels."""

    family: str = ""

    channels_last = False
    """Whether images and maps may come with their channels innermost in memory."""

    def __init__(self, image_shape: ImageShape, classes: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.classes = classes

    @abstractmethod
    def trace(self, images: Tensor) -> Trace:
        """Everything that a forward pass of images [B, C, H, W] shows."""

    def trace_of(self, images: Tensor, wanted: Collection[Signal]) -> Trace:
        """A trace of which only the logits and what is wanted are read; here, all of it."""
        return self.trace(images)

    @property
    def head(self) -> nn.Linear | None:
        """The linear layer from the embedding to the logits; ``None`` where there is no such."""
        layer = getattr(self, "classifier", None)
        return layer if isinstance(layer, nn.Linear) else None

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K] of normalised images [B, C, H, W]."""
        return self.trace_of(images, ()).logits

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The logits and exactly the other signals that are wanted."""
        return signals_of(self.trace_of(images, wanted), wanted)

    def signal_shapes(self) -> SignalShapes:
        """Shapes of the signals, found by one forward pass of two blank images in eval mode."""
        with evaluating(self):
            logits, embedding, features, _ = self.trace(blank_images(self, self.image_shape, 2))
        return SignalShapes(
            classes=logits.shape[1],
            embedding=embedding.shape[1],
            features=tuple((f.shape[1], f.shape[2], f.shape[3]) for f in features),
            pooled=self.pools_last_map,
            linear_head=self.head is not None,
            family=self.family,
            weights={
                name: tuple(value.shape)
                for name, value in self.state_dict().items()
                if isinstance(value, Tensor)  # modules may keep other state (get_extra_state)
            },
        )


def signals_of(trace: Trace, wanted: Collection[Signal]) -> Signals:
    """The logits and exactly the other signals of a forward pass that are wanted."""
    logits, embedding, features, preactivation = trace
    return Signals(
        logits=logits,
        embedding=embedding if Signal.EMBEDDING in wanted else None,
        features=features if Signal.FEATURES in wanted else (),
        attention=tuple(stage.pow(2).mean(dim=1) for stage in features)
        if Signal.ATTENTION in wanted
        else (),
        preactivation=(preactivation or features) if Signal.PREACTIVATION in wanted else (),
    )
