"""The one interface of every network, teacher or student."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from kdsearch.models.declare import declared_attention, declared_stages
from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.inputs import ImageShape, Input, Inputs
from kdsearch.models.other_classes import OtherClasses
from kdsearch.models.preparation import Preparation
from kdsearch.models.signals import (
    Signal,
    SignalKind,
    Signals,
    SignalShape,
    SignalShapes,
    Trace,
)
from kdsearch.spec.concrete import ModelConfig, StoredAs

__all__ = ["ImageShape", "Inputs", "Network", "Trace"]


class Network(nn.Module, ABC):
    """A network whose inner signals can be observed.

    Args:
        inputs: What it takes of a sample, by name, in the order of :meth:`trace`'s arguments.
        outputs: Columns of its output: of one class a sample, the number of classes.

    Attributes:
        inputs: As given.
        classes: Columns of the output.
        family: The family in the spec that it was built from; empty for one made by hand.
        stored: The precision in which its weights are shipped.
        config: What it was built from; ``None`` for one made by hand.
        preparation: What turns the images of the data into those that the weights were trained on
            (:class:`~kdsearch.models.preparation.Preparation`); ``None`` where they are the same.
    """

    pools_last_map = False
    """Whether the embedding is the last stage map averaged over its pixels."""

    family: str = ""

    stored: StoredAs = "float32"
    config: ModelConfig | None = None

    prepared_input: str = ""
    """The name of the input that is prepared."""

    other_classes: OtherClasses | None = None
    """What its outputs say of the classes of the data, where they are not these."""

    channels_last = False
    """Whether images and maps may come with their channels innermost in memory."""

    def __init__(self, inputs: Inputs, outputs: int) -> None:
        super().__init__()
        self.inputs = dict(inputs)
        self.classes = outputs
        self.preparation: Preparation | None = None

    @abstractmethod
    def trace(self, *inputs: Any, **named: Any) -> Trace:
        """Everything that a forward pass of prepared inputs shows; a subclass names its inputs,
        each [B, ...]."""

    def trace_of(self, inputs: Sequence[Tensor], wanted: Collection[Signal]) -> Trace:
        """A trace of prepared inputs, of which only the logits and what is wanted are read; here,
        all of it."""
        return self.trace(*inputs)

    def taken(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What the network takes of a batch's inputs, in its order."""
        return tuple(inputs[name] for name in self.inputs)

    @property
    def head(self) -> nn.Linear | None:
        """The linear layer from the embedding to the logits; ``None`` where there is no such."""
        layer = getattr(self, "classifier", None)
        return layer if isinstance(layer, nn.Linear) else None

    def forward(self, *inputs: Tensor) -> Tensor:
        """Outputs [B, K] of a batch's inputs, in the order of :attr:`inputs`."""
        return self.logits_of(*self.prepared(inputs))

    def logits_of(self, *inputs: Tensor) -> Tensor:
        """Outputs [B, K] of inputs that are prepared."""
        return self.trace_of(inputs, ()).logits

    @property
    def own_inputs(self) -> dict[str, Input]:
        """The inputs as the network's own weights take them: those of :meth:`prepared`."""
        if self.preparation is None:
            return dict(self.inputs)
        return {**self.inputs, self.prepared_input: self.preparation.taken}

    def prepared(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """A batch's inputs as the network's own weights take them, in its order."""
        if self.preparation is None:
            return tuple(inputs)
        named = zip(self.inputs, inputs, strict=True)
        return tuple(
            self.preparation(each) if name == self.prepared_input else each for name, each in named
        )

    def observe(self, inputs: Mapping[str, Tensor], wanted: Collection[Signal]) -> Signals:
        """The logits and exactly the other signals that are wanted of a batch's inputs by name."""
        return self.signals_shown(self.trace_of(self.prepared(self.taken(inputs)), wanted), wanted)

    def signals_shown(self, trace: Trace, wanted: Collection[Signal]) -> Signals:
        """What :meth:`observe` tells of a forward pass of prepared inputs: the logits, of the
        classes of the data where they stand for these, and what is wanted."""
        if self.other_classes is not None:
            trace = Trace(self.other_classes.logits(trace.logits), *trace[1:])
        return signals_of(trace, wanted)

    def signal_shapes(self) -> SignalShapes:
        """Kinds and shapes of the signals, of two blank samples in eval mode.

        Raises:
            ModelError: The network shows something of no kind, or a mask of something else.
        """
        with evaluating(self):
            trace = self.trace(*self.prepared(blank_inputs(self, self.inputs, 2)))
        label = self.family or type(self).__name__
        features, other = declared_stages(label, trace), self.other_classes
        logits = trace.logits if other is None else other.logits(trace.logits)
        return SignalShapes(
            classes=logits.shape[1],
            answers=other is None or bool(other.groups),
            own_classes=other is None,
            embedding=trace.embedding.shape[1],
            features=features,
            pooled=self.pools_last_map and _ends_in_a_map(features),
            linear_head=self.head is not None,
            family=self.family,
            weights={
                name: tuple(value.shape)
                for name, value in self.state_dict().items()
                if isinstance(value, Tensor)  # modules may keep other state (get_extra_state)
            },
            self_attention=declared_attention(label, trace),
            inputs=tuple(self.inputs),
        )


def signals_of(trace: Trace, wanted: Collection[Signal]) -> Signals:
    """The logits and exactly the other signals of a forward pass that are wanted.

    Sequences and attention over pairs are zero where a position is padding.
    """
    signals = Signals(
        logits=trace.logits,
        embedding=trace.embedding if Signal.EMBEDDING in wanted else None,
        features=trace.features if Signal.FEATURES in wanted else (),
        attention=tuple(f.pow(2).mean(dim=1) for f in trace.features if f.ndim == 4)
        if Signal.ATTENTION in wanted
        else (),
        preactivation=(trace.preactivation or trace.features)
        if Signal.PREACTIVATION in wanted
        else (),
        self_attention=trace.self_attention if Signal.SELF_ATTENTION in wanted else (),
    )
    return signals if trace.mask is None else _masked(signals, trace.mask)


def without_padding(values: Tensor, mask: Tensor | None) -> Tensor:
    """A stage with zeros where a position of a sequence [B, L, D] is padding.

    Whatever was there, even what is not finite, then reaches neither loss nor gradient.
    """
    return values if mask is None or values.ndim != 3 else values.masked_fill(~mask[..., None], 0)


def _masked(signals: Signals, mask: Tensor) -> Signals:
    """Signals with their mask and without what lies at padding; without either as they are."""
    stages = (*signals.features, *signals.preactivation)
    if not signals.self_attention and all(values.ndim != 3 for values in stages):
        return signals
    padding = ~mask

    def at_pairs(values: Tensor) -> Tensor:
        return values.masked_fill(padding[:, None, :, None] | padding[:, None, None, :], 0)

    return replace(
        signals,
        features=tuple(without_padding(each, mask) for each in signals.features),
        preactivation=tuple(without_padding(each, mask) for each in signals.preactivation),
        self_attention=tuple(map(at_pairs, signals.self_attention)),
        mask=mask,
    )


def _ends_in_a_map(stages: Sequence[SignalShape]) -> bool:
    return bool(stages) and stages[-1].kind == SignalKind.MAP
