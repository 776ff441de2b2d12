"""A dry run as a tree: which module called which, and what map each returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from kdsearch.errors import ModelError, described
from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.inputs import Inputs, images_in, told
from kdsearch.models.taps.outputs import Path, entries, find_logits, find_map, of_classes, take
from kdsearch.models.taps.taps import Tap, hooked

SAMPLES = 2
"""Samples of a dry run."""

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
)
"""Activations that may close a stage."""


@dataclass(eq=False)
class Call:
    """A recorded call, without its tensors.

    Attributes:
        tap: Which call it is.
        module: What was called.
        given: Shape of the first input; empty where it is no tensor.
        output: Shape of the map that it hands on, or of its only output; empty where it has none.
        end: How many calls had ended before this one did.
        closing: The name of the activation whose very output this is.
        source: The end of the call that returned this very tensor, as it is now, first.
        calls: The calls made during it, in order.
    """

    tap: Tap
    module: nn.Module
    given: tuple[int, ...] = ()
    output: tuple[int, ...] = ()
    end: int = -1
    closing: str | None = None
    source: int = -1
    calls: list[Call] = field(default_factory=list)

    def within(self) -> Iterator[Call]:
        """The calls made during this one, at any depth, in the order in which they ended."""
        for call in self.calls:
            yield from call.within()
            yield call


@dataclass(frozen=True)
class DryRun:
    """One forward pass.

    Attributes:
        root: The call of the module itself.
        logits: Where in its output the main logits are.
        made: The end of the call that returned the main logits first, if any did.
    """

    root: Call
    logits: Path
    made: int | None


def dry_run(module: nn.Module, label: str, inputs: Inputs, classes: int) -> DryRun:
    """Record one forward pass of two blank samples in eval mode.

    Raises:
        ModelError: The module does not take such inputs, or its logits cannot be told.
    """
    recorder = _Recorder()
    names = [name for name, _ in module.named_modules()]
    try:
        # Tensors made in inference mode have no version to tell.
        with (
            torch.inference_mode(False),
            evaluating(module),
            hooked(module, names, recorder.enter, before=True),
            hooked(module, names, recorder.leave),
        ):
            output = module(*blank_inputs(module, inputs, SAMPLES))
    except Exception as error:
        remedy = "another model or image size" if images_in(inputs) else "another model"
        raise ModelError(
            f"{label} cannot take {told(inputs)} ({described(error)}); choose {remedy}"
        ) from error
    fitting = [value for _, value in of_classes(output, classes)]
    way = find_logits(output, classes, [recorder.maker(value) for value in fitting])
    logits = None if way is None else take(output, way)
    if way is None or logits is None or logits.shape != (SAMPLES, classes):
        raise _no_logits(label, output, classes, len(fitting))
    maker = recorder.maker(logits)
    return DryRun(recorder.root, way, None if maker is None else maker[0])


class _Recorder:
    """The hooks of a dry run."""

    def __init__(self) -> None:
        self.root = Call(Tap("", 0), nn.Identity())
        self.ended = 0
        self._open: list[Call] = []
        self._returned = WeakTensorKeyDictionary()
        self._activated = WeakTensorKeyDictionary()

    def enter(self, name: str, number: int, part: nn.Module, given: Any, _: Any) -> None:
        call = Call(Tap(name, number), part)
        if isinstance(given, Tensor):
            call.given = tuple(given.shape)
        if self._open:
            self._open[-1].calls.append(call)
        else:
            self.root = call
        self._open.append(call)

    def leave(self, name: str, number: int, part: nn.Module, _: Any, output: Any) -> None:
        call = self._open.pop()
        call.end = self.ended
        self.ended += 1
        way = find_map(output)
        maps = None if way is None else take(output, way)
        for _, value in entries(output):
            if value not in self._returned or self._returned[value][1] != _version(value):
                self._returned[value] = call.end, _version(value), name
        if way is None or maps is None:
            return
        call.tap = Tap(name, number, path=way)
        call.output = tuple(maps.shape)
        if isinstance(part, ACTIVATIONS):
            self._activated[maps] = name, _version(maps)
        # A sum in place leaves the tensor the same but raises its version.
        activation, version = self._activated.get(maps, (None, 0))
        call.closing = activation if version == _version(maps) else None
        call.source = self._returned[maps][0]

    def maker(self, value: Tensor) -> tuple[int, str] | None:
        """The end of the call that returned a tensor first, and its module's name in small
        letters; ``None`` where none within the network did."""
        if value not in self._returned:
            return None
        end, _, name = self._returned[value]
        return (end, name.lower()) if name else None


def _version(value: Tensor) -> int:
    """How often a tensor was changed in place; of one made in inference mode it is not known."""
    return 0 if value.is_inference() else value._version


def _no_logits(label: str, output: Any, classes: int, fitting: int) -> ModelError:
    if fitting > 1:
        return ModelError(
            f"{label} returns {fitting} outputs of {classes} values a sample, and it cannot "
            "be told which are its logits; return the main ones alone, or in a dictionary as "
            "'logits'"
        )
    if isinstance(output, Tensor):
        found = str(list(output.shape))
    else:
        shapes = [f"{'.'.join(map(str, w))} {list(v.shape)}" for w, v in entries(output)]
        found = f"{type(output).__name__} of {', '.join(shapes)}" if shapes else "no tensor"
    return ModelError(
        f"for {SAMPLES} samples {label} returns {found}; it must give logits [{SAMPLES}, {classes}]"
    )
