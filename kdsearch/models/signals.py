"""What a network says of a batch, and the declared kind and shape of each part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from torch import Tensor


class Signal(StrEnum):
    """One kind of output that a distillation method may read from a network."""

    LOGITS = "logits"
    EMBEDDING = "embedding"
    FEATURES = "features"
    ATTENTION = "attention"
    """Where a stage map is active (Zagoruyko & Komodakis 2017); of maps alone."""
    PREACTIVATION = "preactivation"
    SELF_ATTENTION = "self_attention"
    """A transformer layer's attention over pairs of positions (Vaswani et al. 2017)."""


class SignalKind(StrEnum):
    """What the dimensions of a tensor mean."""

    VECTOR = "vector"
    """[B, D]."""
    MAP = "map"
    """[B, C, H, W], or [B, H, W] where a position has one value."""
    SEQUENCE = "sequence"
    """[B, L, D]: L positions, such as tokens."""
    PAIRS = "pairs"
    """[B, heads, L, L]: how much each position (row) attends to each (column)."""


@dataclass(frozen=True)
class SignalShape:
    """What is known of one tensor of a signal before the network has run.

    Attributes:
        kind: What its dimensions mean.
        shape: Its shape without the batch dimension.
        masked: Whether some of its positions may be padding; the network's mask [B, L] tells
            which are real.
    """

    kind: SignalKind
    shape: tuple[int, ...]
    masked: bool = False

    @property
    def channels(self) -> int:
        """Values at each position: C of a map, D of a sequence or a vector."""
        return self.shape[-1] if self.kind == SignalKind.SEQUENCE else self.shape[0]

    @property
    def length(self) -> int:
        """L, the positions of a sequence or of attention over pairs."""
        assert self.kind in (SignalKind.SEQUENCE, SignalKind.PAIRS)
        return self.shape[-2]


class Trace(NamedTuple):
    """All that a forward pass of a network shows.

    Attributes:
        logits: [B, K] class scores before the softmax.
        embedding: [B, D] pooled input of the classifier.
        features: One tensor a stage, shallow to deep: a map [B, C, H, W], a sequence [B, L, D] or
            a vector [B, D].
        preactivation: The stages before each one's closing activation, of the same shapes; empty
            where the network cannot tell them, and then the stages themselves stand for them.
        self_attention: One [B, heads, L, L] a layer, shallow to deep: each row the attention that
            one position gives to all.
        mask: [B, L] bool, true where a position of the sequences is real; ``None`` where all are.
            What the network holds at the others is never read.
    """

    logits: Tensor
    embedding: Tensor
    features: tuple[Tensor, ...]
    preactivation: tuple[Tensor, ...] = ()
    self_attention: tuple[Tensor, ...] = ()
    mask: Tensor | None = None


@dataclass(frozen=True)
class Signals:
    """A network's signals for a batch; those that nobody asked for are absent.

    Attributes:
        logits: [B, K] class scores before the softmax.
        embedding: [B, D] pooled input of the classifier.
        features: One tensor a stage, shallow to deep: a map [B, C, H, W], a sequence [B, L, D] or
            a vector [B, D].
        attention: One [B, H, W] for each stage that is a map: the mean over channels of the
            squared features (Zagoruyko & Komodakis 2017).
        preactivation: One tensor a stage, of the stage's shape, before the activation that closes
            it; the stage itself where it ends in none, as linear bottlenecks do.
        self_attention: One [B, heads, L, L] a layer, shallow to deep.
        mask: [B, L] bool, true where a position of the sequences is real; they and the attention
            over pairs are zero at the others. ``None`` where all are real, or no such signal was
            asked for.
        strong: The student's signals of the same samples under ``data.strong_augment``, for
            methods that read them.
    """

    logits: Tensor | None = None
    embedding: Tensor | None = None
    features: tuple[Tensor, ...] = ()
    attention: tuple[Tensor, ...] = ()
    preactivation: tuple[Tensor, ...] = ()
    self_attention: tuple[Tensor, ...] = ()
    mask: Tensor | None = None
    strong: Signals | None = None

    def changed(self, change: Callable[[Tensor], Tensor]) -> Signals:
        """The same with every tensor changed; those that are absent stay so."""

        def of(held: Tensor | tuple[Tensor, ...] | Signals | None) -> Any:
            if isinstance(held, Tensor):
                return change(held)
            if isinstance(held, Signals):
                return held.changed(change)
            return held and tuple(map(change, held))

        return replace(self, **{each.name: of(getattr(self, each.name)) for each in fields(self)})

    def mask_of(self, signal: Signal) -> Tensor | None:
        """The mask [B, L] of one signal; ``None`` where it is of no sequence, or all are real."""
        if signal == Signal.SELF_ATTENTION:
            return self.mask if self.self_attention else None
        stages = {Signal.FEATURES: self.features, Signal.PREACTIVATION: self.preactivation}
        return self.mask if any(each.ndim == 3 for each in stages.get(signal, ())) else None


@dataclass(frozen=True)
class SignalShapes:
    """What can be told of a network before it is trained: shapes, without the batch dimension.

    Attributes:
        classes: K, the length of the logits.
        embedding: D, the length of the embedding; 0 where there is none, as for an average of
            several teachers.
        features: Each stage, shallow to deep; empty where there are none.
        pooled: Whether the embedding is the last stage map averaged over its pixels.
        linear_head: Whether a linear layer turns the embedding into the logits.
        family: The model family, as the spec calls it; empty where it is not known.
        weights: Shapes of the parameters and buffers by name; empty where they are not known.
        self_attention: The attention over pairs of each layer, shallow to deep; empty where the
            network shows none.
        inputs: Names of what it takes, in its order; empty where they are not known.
        answers: Whether the logits are of the classes of the data; those of a general teacher, or
            of one without a head, are not.
        own_classes: Whether the network's own outputs are the classes of the data, one for one in
            their order; they are not where they only stand for them.
    """

    classes: int
    embedding: int
    features: tuple[SignalShape, ...]
    pooled: bool = False
    linear_head: bool = False
    family: str = ""
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    self_attention: tuple[SignalShape, ...] = ()
    inputs: tuple[str, ...] = ()
    answers: bool = True
    own_classes: bool = True

    @property
    def maps(self) -> tuple[tuple[int, int, int], ...]:
        """(C, H, W) of each stage that is a map, shallow to deep."""
        sizes = (each.shape for each in self.features if each.kind == SignalKind.MAP)
        return tuple((c, h, w) for c, h, w in sizes)

    def of(self, signal: Signal) -> tuple[SignalShape, ...]:
        """Every tensor of a signal; empty where the network does not have it."""
        if signal == Signal.LOGITS:
            return (SignalShape(SignalKind.VECTOR, (self.classes,)),)
        if signal == Signal.EMBEDDING:
            vector = SignalShape(SignalKind.VECTOR, (self.embedding,))
            return (vector,) if self.embedding else ()
        if signal == Signal.ATTENTION:
            return tuple(SignalShape(SignalKind.MAP, (h, w)) for _, h, w in self.maps)
        return self.self_attention if signal == Signal.SELF_ATTENTION else self.features
