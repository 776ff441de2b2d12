"""Where in an arbitrary module the stage maps and the embedding are to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.weak import WeakTensorKeyDictionary

from kdsearch.errors import ModelError, described
from kdsearch.models.dry_run import blank_images, evaluating
from kdsearch.models.network import ImageShape
from kdsearch.models.taps import Tap, Taps, hooked, main_logits

_MOST_STAGES = 4
_IMAGES = 2

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


@dataclass(frozen=True)
class _Call:
    """A recorded call, without its tensors.

    Attributes:
        tap: Which call it is.
        module: What was called.
        output: Shape of the output.
        closing: The call of the activation whose very output this is.
    """

    tap: Tap
    module: nn.Module
    output: torch.Size
    closing: Tap | None


def find_taps(module: nn.Module, label: str, image_shape: ImageShape, classes: int) -> Taps:
    """Find the taps by one forward pass of two blank images in eval mode.

    The classifier is the last call of an ``nn.Linear``, or of a 1×1 convolution, with one output
    a class; failing that, the last childless module that returns [B, K]. The stage maps are, of
    what ran before it, the last four-dimensional output of each spatial resolution above 1×1, at
    most the four deepest. Outputs larger than an earlier one (the side branches of a block that
    shrinks its map, or pooling to a fixed size) are no stage maps, and neither are dropout's,
    images as they came in, or the patch embedding of a transformer over tokens.

    A stage is closed by an activation where its map is the tensor that a module of
    :data:`ACTIVATIONS` returned, unchanged since. A function such as ``F.relu`` cannot be seen.

    Raises:
        ModelError: The module does not take such images, does not return [B, K] logits,
            or has no classifier that can be told.
    """
    calls = _record(module, label, image_shape, classes)
    last = _classifier(calls, label, classes)
    classifier = replace(calls[last].tap, channels_last=isinstance(calls[last].module, nn.Linear))
    stages = _stages(calls[:last], image_shape)
    closing = {call.tap.place: call.closing for call in calls}
    return Taps(stages, classifier, tuple(closing[stage.place] for stage in stages))


def _record(module: nn.Module, label: str, image_shape: ImageShape, classes: int) -> list[_Call]:
    calls: list[_Call] = []
    activated = WeakTensorKeyDictionary()

    def record(name: str, call: int, part: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            tap = Tap(name, call)
            if isinstance(part, ACTIVATIONS):
                activated[output] = tap, output._version
            closing, version = activated.get(output, (None, 0))
            # A sum in place leaves the tensor the same but raises its version.
            if closing is not None and version != output._version:
                closing = None
            calls.append(_Call(tap, part, output.shape, closing))

    names = [name for name, _ in module.named_modules()]
    images = blank_images(module, image_shape, _IMAGES)
    try:
        # Tensors made in inference mode have no version to tell.
        with torch.inference_mode(False), evaluating(module), hooked(module, names, record):
            logits = main_logits(module(images))
    except Exception as error:
        channels, height, width = image_shape
        raise ModelError(
            f"{label} cannot take images of {height}×{width} pixels with {channels} channel(s) "
            f"({described(error)}); choose another model or image size"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (_IMAGES, classes):
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"for {_IMAGES} images {label} returns {shape}; "
            f"it must give logits [{_IMAGES}, {classes}]"
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
    return bool(call.tap.module) and childless and call.output == (_IMAGES, classes)


def _stages(calls: Sequence[_Call], image_shape: ImageShape) -> tuple[Tap, ...]:
    latest: dict[tuple[int, int], Tap] = {}
    for call in calls:
        if not _may_be_a_stage(call, image_shape):
            continue
        for tap, height, width in _readings(call):
            area = height * width
            shrinks = all(area <= h * w for h, w in latest)
            if area > 1 and shrinks and _keeps_aspect(height, width, image_shape):
                latest[height, width] = tap
                break
    taps = tuple(latest.values())[-_MOST_STAGES:]
    return () if _is_patch_embedding(taps, calls) else taps


def _may_be_a_stage(call: _Call, image_shape: ImageShape) -> bool:
    """Whether a call returned maps of the batch, and neither normalised images nor noisy maps."""
    maps = len(call.output) == 4 and call.output[0] == _IMAGES
    images = tuple(call.output[1:]) == tuple(image_shape)
    return maps and not images and not isinstance(call.module, _DropoutNd)


def _is_patch_embedding(taps: Sequence[Tap], calls: Sequence[_Call]) -> bool:
    """Whether the one map is what a transformer cuts into tokens [B, N, D]: input, not a stage."""
    if len(taps) != 1:
        return False
    position = [call.tap.place for call in calls].index(taps[0].place)
    return any(len(call.output) == 3 for call in calls[position:])


def _readings(call: _Call) -> Iterator[tuple[Tap, int, int]]:
    """A four-dimensional output read as [B, C, H, W], then as [B, H, W, C]."""
    _, first, second, third = call.output
    yield call.tap, second, third
    yield Tap(call.tap.module, call.tap.call, channels_last=True), first, second


def _keeps_aspect(height: int, width: int, image_shape: ImageShape) -> bool:
    """Whether a map's sides are in the image's proportion; tells maps from other layouts."""
    _, full_height, full_width = image_shape
    if full_height == full_width:
        return height == width
    ratio = (height * full_width) / (width * full_height)
    return 0.75 <= ratio <= 4 / 3
