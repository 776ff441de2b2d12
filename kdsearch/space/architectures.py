"""Sizes and shapes of the networks that are proposed, each architecture worked out once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch.overrides import TorchFunctionMode

from kdsearch.graphs.stopwatch import Stopwatch, files_of
from kdsearch.models import (
    FAMILIES,
    Network,
    SignalShapes,
    Size,
    blueprint,
    build_network,
    measure,
)
from kdsearch.models.inputs import Inputs
from kdsearch.models.libraries.catalogue import library_of, with_own_view
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
    """What is known of an architecture; shapes and sizes of files once they were asked for."""

    size: Size
    shapes: SignalShapes | None = None
    of_files: dict[str, float] = field(default_factory=dict)


class Architectures:
    """Tells sizes and signal shapes of networks before they are trained.

    Widths are real numbers, so that hardly two students have the same; channel counts are whole, so
    that many have the same architecture.

    Args:
        inputs: Of a sample, by name.
        outputs: Columns of a network's output: of one class a sample, the number of classes.
        heads: The tasks of the networks; absent, one class a sample.
        stopwatch: Measures latencies; absent: one of its own.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        heads: Sequence[Head] = (),
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self.inputs, self.outputs = dict(inputs), outputs
        self.heads = tuple(heads) or (Head(names=tuple(map(str, range(outputs)))),)
        self.stopwatch = stopwatch or Stopwatch()
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
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
                self.inputs, outputs_of(heads), heads, self.stopwatch
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

    def of_files(self, model: ModelConfig, names: Collection[str]) -> dict[str, float]:
        """Some of :data:`~kdsearch.spec.searching.FILE_SIZES`, measured once an architecture.

        Args:
            model: The network; its weights may be any.
            names: Of the sizes.

        Raises:
            ModelError: It cannot be built or exported.
            RunError: It cannot be quantized, or the command that measures fails.
        """
        known = self._of(model).of_files
        missing = [name for name in names if name not in known]
        if missing:
            network = build_network(model, self.inputs, self.outputs)
            int8 = any(name.startswith("int8_") for name in missing)
            original, quantized = files_of(network, self.heads, network.inputs, int8)
            for name in missing:
                content = quantized if name.startswith("int8_") else original
                assert content is not None
                bytes_alone = name == "int8_bytes"
                known[name] = len(content) if bytes_alone else self.stopwatch.microseconds(content)
        return {name: known[name] for name in names}

    def learn(self, model: ModelConfig, of_files: Mapping[str, float]) -> None:
        """Take over what was measured of an architecture before.

        Raises:
            ModelError: As :func:`~kdsearch.models.build_network`.
        """
        if of_files:
            self._of(model).of_files.update(of_files)

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


def _architecture(given: ModelConfig, network: Network) -> Hashable:
    """Equal for networks of equal size and shapes.

    A family with the channel counts of all its weights is one architecture. What a user's own
    function makes of a width may differ in more than that.
    """
    model = with_own_view(given)
    if model.family not in FAMILIES and library_of(model.family) is None:
        return model
    weights = tuple((name, tuple(value.shape)) for name, value in network.state_dict().items())
    inputs = tuple(network.inputs.items())
    view = model.image_size, model.normalise
    classes = model.outputs, model.stands_for, model.ways
    return model.family, model.depth, model.adopts, model.stored, view, classes, inputs, weights
