"""What a network says of a batch, and the shapes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from torch import Tensor

ImageShape = tuple[int, int, int]
"""(channels, height, width) of one image."""


class Signal(StrEnum):
    """One kind of output that a distillation method may read from a network."""

    LOGITS = "logits"
    EMBEDDING = "embedding"
    FEATURES = "features"
    ATTENTION = "attention"
    PREACTIVATION = "preactivation"


class Trace(NamedTuple):
    """All that a forward pass of a network shows.

    Attributes:
        logits: [B, K] class scores before the softmax.
        embedding: [B, D] pooled input of the classifier.
        features: One [B, C, H, W] map a stage, shallow to deep.
        preactivation: The stage maps before each stage's closing activation; empty where the
            network cannot tell them, and then the stage maps themselves stand for them.
    """

    logits: Tensor
    embedding: Tensor
    features: tuple[Tensor, ...]
    preactivation: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Signals:
    """A network's signals for a batch; those that nobody asked for are absent.

    Attributes:
        logits: [B, K] class scores before the softmax.
        embedding: [B, D] pooled input of the classifier.
        features: One [B, C, H, W] map a stage, shallow to deep.
        attention: One [B, H, W] map a stage: the mean over channels of the squared features
            (Zagoruyko & Komodakis 2017).
        preactivation: One [B, C, H, W] map a stage, before the activation that closes the stage;
            the stage map itself where a stage ends in none, as linear bottlenecks do.
    """

    logits: Tensor | None = None
    embedding: Tensor | None = None
    features: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()
    preactivation: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class SignalShapes:
    """What can be told of a network before it is trained: shapes, without the batch dimension.

    Attributes:
        classes: K, the length of the logits.
        embedding: D, the length of the embedding; 0 where there is none, as for an average of
            several teachers.
        features: (C, H, W) of each stage map, shallow to deep; empty where there are none.
        pooled: Whether the embedding is the last stage map averaged over its pixels.
        linear_head: Whether a linear layer turns the embedding into the logits.
        family: The model family, as the spec calls it; empty where it is not known.
        weights: Shapes of the parameters and buffers by name; empty where they are not known.
    """

    classes: int
    embedding: int
    features: tuple[tuple[int, int, int], ...]
    pooled: bool = False
    linear_head: bool = False
    family: str = ""
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
