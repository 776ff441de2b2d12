"""What a network says of a batch, and the shapes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

ImageShape = tuple[int, int, int]
"""(channels, height, width) of one picture."""


class Signal(StrEnum):
    """One kind of answer that a distillation method may ask of a network."""

    LOGITS = "logits"
    EMBEDDING = "embedding"
    FEATURES = "features"
    ATTENTION = "attention"


@dataclass(frozen=True)
class Signals:
    """The answers of a network to a batch; those nobody asked for are absent.

    Attributes:
        logits: [B, K] class scores before the softmax.
        embedding: [B, D] pooled input of the classifier.
        features: One [B, C, H, W] map a stage, shallow to deep.
        attention: One [B, H, W] map a stage: the mean over channels of the squared features
            (Zagoruyko & Komodakis 2017).
    """

    logits: Tensor | None = None
    embedding: Tensor | None = None
    features: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class SignalShapes:
    """Shapes of a network's signals, without the batch dimension.

    Attributes:
        classes: K, the length of the logits.
        embedding: D, the length of the embedding.
        features: (C, H, W) of each stage map, shallow to deep.
    """

    classes: int
    embedding: int
    features: tuple[tuple[int, int, int], ...]
