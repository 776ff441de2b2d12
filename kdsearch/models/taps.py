"""Where in an arbitrary module the stage maps and the embedding can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from kdsearch.errors import ModelError
from kdsearch.models.dry_run import blank_pictures, evaluating, first_line
from kdsearch.models.network import ImageShape

_MOST_STAGES = 4
_PICTURES = 2

Hook = Callable[[str, int, nn.Module, Any, Any], None]
"""Called with a module's name, the number of this call of it in the forward pass, the module, its
first input, and its output."""


@dataclass(frozen=True)
class Tap:
    """One call of one module in a forward pass.

    Attributes:
        module: Dotted name of the module.
        call: Which of the module's calls, from 0; a ReLU may serve several places.
        channels_last: Whether the map is [B, H, W, C].
    """

    module: str
    call: int
    channels_last: bool = False


@dataclass(frozen=True)
class Taps:
    """Where the signals of a module are read.

    Attributes:
        stages: Calls whose outputs are the stage maps, shallow to deep.
        classifier: The call whose input, pooled, is the embedding.
    """

    stages: tuple[Tap, ...]
    classifier: Tap


@dataclass(frozen=True)
class _Call:
    """A recorded call, without its tensors."""

    tap: Tap
    module: nn.Module
    output: torch.Size


def main_logits(output: Any) -> Any:
    """The main logits of a module that may answer with auxiliary ones beside them."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits
    return output[0] if isinstance(output, Sequence) and output else output


@contextmanager
def hooked(module: nn.Module, names: Sequence[str], hook: Hook) -> Iterator[None]:
    """Call ``hook`` after each call of the named submodules, within this context and thread."""
    handles = []
    thread = get_ident()
    for name in names:
        calls = count()

        def after(
            part: nn.Module,
            args: tuple,
            kwargs: dict[str, Any],
            output: Any,
            name: str = name,
            calls: Iterator[int] = calls,
        ) -> None:
            if get_ident() != thread:
                return
            inputs = (*args, *kwargs.values())
            hook(name, next(calls), part, inputs[0] if inputs else None, output)

        part = module.get_submodule(name)
        handles.append(part.register_forward_hook(after, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def find_taps(module: nn.Module, label: str, image_shape: ImageShape, classes: int) -> Taps:
    """Find the taps by one forward pass of two blank pictures in eval mode.

    The classifier is the last call of an ``nn.Linear``, or of a 1×1 convolution, with one output
    a class; failing that, the last childless module that returns [B, K]. The stage maps are, of
    what ran before it, the last four-dimensional output of each spatial resolution above 1×1, at
    most the four deepest. Outputs larger than an earlier one (the side branches of a block that
    shrinks its map, or pooling to a fixed size) are no stage maps, and neither are dropout's or
    the patch embedding of a transformer over tokens.

    Raises:
        ModelError: The module does not take such pictures, does not answer with [B, K] logits,
            or has no classifier that can be told.
    """
    calls = _record(module, label, image_shape, classes)
    last = _classifier(calls, label, classes)
    return Taps(_stages(calls[:last], image_shape), calls[last].tap)


def _record(module: nn.Module, label: str, image_shape: ImageShape, classes: int) -> list[_Call]:
    calls: list[_Call] = []

    def record(name: str, call: int, part: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            calls.append(_Call(Tap(name, call), part, output.shape))

    names = [name for name, _ in module.named_modules()]
    pictures = blank_pictures(module, image_shape, _PICTURES)
    try:
        with evaluating(module), hooked(module, names, record):
            logits = main_logits(module(pictures))
    except Exception as error:
        channels, height, width = image_shape
        raise ModelError(
            f"{label} cannot take pictures of {height}×{width} pixels with {channels} channel(s) "
            f"({first_line(error)}); choose another model or picture size"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (_PICTURES, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"{label} answers {_PICTURES} pictures with {shape}; "
            f"it must give logits [{_PICTURES}, {classes}]"
        )
    return calls


def _classifier(calls: Sequence[_Call], label: str, classes: int) -> int:
    for fits in (_is_class_layer, _is_leaf_with_logits):
        for position in reversed(range(len(calls))):
            if fits(calls[position], classes):
                return position
    raise ModelError(
        f"{label} has no layer that can be told to be its classifier; end it with an nn.Linear of "
        f"{classes} outputs, or return a kdsearch.models.Network"
    )


def _is_class_layer(call: _Call, classes: int) -> bool:
    layer = call.module
    if isinstance(layer, nn.Linear):
        return layer.out_features == classes
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.out_channels == classes
    )


def _is_leaf_with_logits(call: _Call, classes: int) -> bool:
    childless = next(call.module.children(), None) is None
    return bool(call.tap.module) and childless and call.output == (_PICTURES, classes)


def _stages(calls: Sequence[_Call], image_shape: ImageShape) -> tuple[Tap, ...]:
    latest: dict[tuple[int, int], Tap] = {}
    for call in calls:
        if len(call.output) != 4 or call.output[0] != _PICTURES:
            continue
        if isinstance(call.module, _DropoutNd):
            continue
        for tap, height, width in _readings(call):
            area = height * width
            shrinks = all(area <= h * w for h, w in latest)
            if area > 1 and shrinks and _keeps_aspect(height, width, image_shape):
                latest[height, width] = tap
                break
    taps = tuple(latest.values())[-_MOST_STAGES:]
    return () if _is_patch_embedding(taps, calls) else taps


def _is_patch_embedding(taps: Sequence[Tap], calls: Sequence[_Call]) -> bool:
    """Whether the one map is what a transformer cuts into tokens [B, N, D]: input, not a stage."""
    if len(taps) != 1:
        return False
    places = [(call.tap.module, call.tap.call) for call in calls]
    position = places.index((taps[0].module, taps[0].call))
    return any(len(call.output) == 3 for call in calls[position:])


def _readings(call: _Call) -> Iterator[tuple[Tap, int, int]]:
    """A four-dimensional output read as [B, C, H, W], then as [B, H, W, C]."""
    _, first, second, third = call.output
    yield call.tap, second, third
    yield Tap(call.tap.module, call.tap.call, channels_last=True), first, second


def _keeps_aspect(height: int, width: int, image_shape: ImageShape) -> bool:
    """Whether a map's sides are in the picture's proportion; tells maps from other layouts."""
    _, full_height, full_width = image_shape
    if full_height == full_width:
        return height == width
    ratio = (height * full_width) / (width * full_height)
    return 0.75 <= ratio <= 4 / 3


def read(
    module: nn.Module, taps: Taps, pictures: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Logits [B, K], embedding [B, D] and stage maps [B, C, H, W] of one forward pass.

    Raises:
        ModelError: A tapped module was not called this time.
    """
    caught: dict[tuple[str, int], Tensor] = {}
    places = {(tap.module, tap.call) for tap in taps.stages}
    classifier = (taps.classifier.module, taps.classifier.call)
    embeddings: list[Tensor] = []

    def catch(name: str, call: int, part: nn.Module, given: Any, output: Any) -> None:
        if (name, call) in places:
            caught[name, call] = output
        if (name, call) == classifier:
            embeddings.append(_pooled(part, given))

    names = sorted({name for name, _ in (*places, classifier)})
    with hooked(module, names, catch):
        logits = main_logits(module(pictures))
    if len(caught) < len(places) or not embeddings:
        raise ModelError(
            f"{type(module).__name__} does not call the same layers in every forward pass, so its "
            "inner signals cannot be read; return a kdsearch.models.Network instead"
        )
    features = tuple(_channels_first(caught[tap.module, tap.call], tap) for tap in taps.stages)
    return logits, embeddings[0], features


def _pooled(classifier: nn.Module, given: Tensor) -> Tensor:
    """The classifier's input as [B, D]: averaged over pixels or tokens where it has them."""
    if given.ndim == 2:
        return given
    if given.ndim == 4 and not isinstance(classifier, nn.Linear):
        return given.mean(dim=(2, 3))
    return given.flatten(1, -2).mean(dim=1)


def _channels_first(maps: Tensor, tap: Tap) -> Tensor:
    return maps.permute(0, 3, 1, 2) if tap.channels_last else maps
