"""Sizes and shapes of the networks that are proposed, each architecture worked out once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch.overrides import TorchFunctionMode

from kdsearch.models import (
    FAMILIES,
    LatencyReference,
    Network,
    SignalShapes,
    Size,
    blueprint,
    build_network,
    measure,
    measure_latency,
)
from kdsearch.models.inputs import Inputs
from kdsearch.problems import Head
from kdsearch.problems.head import outputs_of, side_by_side
from kdsearch.spec.concrete import ModelConfig

ROOM = 512
"""Architectures that are remembered; the one that was not asked for longest gives way."""


class _ShapesAlone(TorchFunctionMode):
    """Leaves out what changes no shape and costs no multiply-accumulate that a size counts.

    Batch normalisation and activations of tensors without values are most of the time of a forward
    pass on the meta device, since PyTorch works out their shapes in Python.
    """

    _LEFT_OUT = frozenset(
        {F.batch_norm, torch.batch_norm, F.relu, torch.relu, torch.relu_, F.relu6, F.hardtanh}
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in self._LEFT_OUT and args and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


@dataclass
class _Known:
    """What is known of an architecture; shapes and latency once they were asked for."""

    size: Size
    shapes: SignalShapes | None = None
    latency: float | None = None


class Architectures:
    """Tells sizes and signal shapes of networks before they are trained.

    Widths are real numbers, so that hardly two students have the same; channel counts are whole, so
    that many have the same architecture.

    Args:
        inputs: Of a sample, by name.
        outputs: Columns of a network's output: of one class a sample, the number of classes.
        core: The core on which latencies are measured, which trials have to leave free; absent:
            whichever the system gives.
        heads: The tasks of the networks; absent, one class a sample.
        beside: Gives the network beside which latencies are measured; absent: one of its own.
        timed: Names of the inputs of the networks that are timed; absent: all.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        core: int | None = None,
        heads: Sequence[Head] = (),
        beside: Callable[[float | None], LatencyReference] | None = None,
        timed: Collection[str] | None = None,
    ) -> None:
        self.inputs, self.outputs, self.core = dict(inputs), outputs, core
        self.heads = tuple(heads) or (Head(names=tuple(map(str, range(outputs)))),)
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._beside = beside
        self._timed = {k: v for k, v in self.inputs.items() if timed is None or k in timed}
        self._reference: LatencyReference | None = None
        self._keys: dict[ModelConfig, Hashable] = {}
        self._last: tuple[ModelConfig, Network] | None = None
        self._parts: dict[tuple[Head, ...], Architectures] = {}

    def of_tasks(self, names: Collection[str]) -> Architectures:
        """The same networks with the outputs of some tasks alone.

        Args:
            names: These tasks; none stand for all.
        """
        if not names:
            return self
        heads = side_by_side(head for head in self.heads if head.name in names)
        if heads not in self._parts:
            self._parts[heads] = Architectures(
                self.inputs, outputs_of(heads), self.core, heads, beside=self.reference
            )
        return self._parts[heads]

    def size(self, model: ModelConfig) -> Size:
        """How large a network is.

        Raises:
            ModelError: As :func:`~kdsearch.models.build_network`.
        """
        return self._of(model).size

    def shapes(self, model: ModelConfig) -> SignalShapes:
        """The shapes of its signals.

        Raises:
            ModelError: As :func:`~kdsearch.models.build_network`.
        """
        known = self._of(model)
        if known.shapes is None:
            with _ShapesAlone():
                known.shapes = self._network(model).signal_shapes()
        return known.shapes

    def latency(self, model: ModelConfig) -> float:
        """Microseconds of one sample on this process's device; measured once an architecture.

        Raises:
            ModelError: As :func:`~kdsearch.models.build_network`.
        """
        known = self._of(model)
        if known.latency is None:
            network = build_network(model, self.inputs, self.outputs)
            known.latency = measure_latency(network, core=self.core, beside=self.reference())
        return known.latency

    def reference(self, microseconds: float | None = None) -> LatencyReference:
        """The network beside which latencies are measured; the same from its first use on.

        Args:
            microseconds: What it took when the study began; absent: measured at its first use.
        """
        if self._beside is not None:
            return self._beside(microseconds)
        if self._reference is None or microseconds is not None:
            self._reference = LatencyReference.of(self._timed, self.core, microseconds)
        return self._reference

    def _of(self, model: ModelConfig) -> _Known:
        key = self._key(model)
        if key not in self._known:
            with _ShapesAlone():
                self._known[key] = _Known(measure(self._network(model)))
            if len(self._known) > ROOM:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _key(self, model: ModelConfig) -> Hashable:
        """What the architecture is remembered by; a teacher's is asked for with every student."""
        if model not in self._keys:
            if len(self._keys) >= ROOM:
                self._keys.clear()
            self._keys[model] = _architecture(model, self._network(model))
        return self._keys[model]

    def _network(self, model: ModelConfig) -> Network:
        """The network of a model; the last one is kept, since a proposal asks twice."""
        if self._last is None or self._last[0] != model:
            self._last = (model, blueprint(model, self.inputs, self.outputs))
        return self._last[1]


def _architecture(model: ModelConfig, network: Network) -> Hashable:
    """Equal for networks of equal size and shapes.

    A family with the channel counts of all its weights is one architecture. What a user's own
    function makes of a width may differ in more than that.
    """
    if model.family not in FAMILIES and not model.family.startswith("torchvision/"):
        return model
    weights = tuple((name, tuple(value.shape)) for name, value in network.state_dict().items())
    inputs = tuple(network.inputs.items())
    return model.family, model.depth, model.adopts, model.stored, inputs, weights
