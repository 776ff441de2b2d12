"""A width knob for models that have none: every layer rebuilt with more or fewer channels.

Each layer's outputs are scaled by one rule, so that equal counts stay equal and residual sums
fit. Its inputs are those that arrive in a forward pass, so that concatenations, splits and
flattened maps fit too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kdsearch.errors import ModelError, described
from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.families.staged import initialise_convolutions
from kdsearch.models.inputs import ImageShape, of_images
from kdsearch.models.taps.find_taps import find_taps

_RESIZABLE = (nn.Conv2d, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)
_DIVISOR = 8

Scale = Callable[[int], int]


def rescale(
    model: nn.Module,
    width: float,
    image_shape: ImageShape,
    classes: int,
    label: str,
    round_to: int | None = None,
) -> None:
    """Resize, in place, every layer of a model on the meta device.

    Outputs become channels × width, rounded to a multiple of 8 and of every grouped convolution's
    channels per group, which stay as they are while the number of groups follows the inputs
    (depthwise convolutions stay depthwise). The classifier keeps its outputs. Parameters stay on
    the meta device, without values.

    Args:
        model: A classifier of [B, C, H, W] images.
        width: Multiplier of the channel counts.
        image_shape: (channels, height, width) of the images.
        classes: Number of classes.
        label: What messages call the model.
        round_to: What the counts are multiples of, in place of 8. Up to width 1 no count becomes
            larger, so those that are smaller than it stay as they are.

    Raises:
        ModelError: The model holds parameters outside of plain layers, or does not fit together
            at this width.
    """
    _check_layers(model, width, label)
    inputs = of_images(image_shape)
    classifier = find_taps(model, label, inputs, classes).classifier.module
    last = model.get_submodule(classifier)
    scale = _scale_rule(model, width, round_to)
    waiting = {layer for layer in model.modules() if isinstance(layer, _RESIZABLE)}

    def before(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        if layer in waiting:
            waiting.remove(layer)
            _resize(layer, args[0], _keep if layer is last else scale)

    handles = [layer.register_forward_pre_hook(before) for layer in waiting]
    try:
        with evaluating(model):
            model(*blank_inputs(model, inputs, count=2))
    except Exception as error:
        reason = f"its layers do not fit together ({described(error)})"
        raise _no_width(label, width, reason) from error
    finally:
        for handle in handles:
            handle.remove()
    if waiting:
        raise _no_width(label, width, "some of its layers take no part in a forward pass")


def set_image_channels(model: nn.Module, channels: int) -> None:
    """Give the first convolution another number of image channels, with new weights.

    Args:
        model: A classifier whose first convolution takes three channels; another count is kept.
        channels: Channels of the images.
    """
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    if first.in_channels == channels:
        return
    first.in_channels = channels
    outputs, _, *kernel = first.weight.shape
    first.weight = nn.Parameter(first.weight.new_empty(outputs, channels, *kernel))
    initialise_convolutions(first)


def initialise(model: nn.Module) -> None:
    """Give every layer its usual first values: He's by fan-out for convolutions, as torchvision's
    own models of this kind do, and PyTorch's defaults for all others."""
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)):
            layer.reset_parameters()
    initialise_convolutions(model)


def _check_layers(model: nn.Module, width: float, label: str) -> None:
    for part in model.modules():
        own = [name for name, _ in part.named_parameters(recurse=False)]
        own += [name for name, _ in part.named_buffers(recurse=False)]
        if own and not isinstance(part, _RESIZABLE):
            raise _no_width(label, width, f"its {type(part).__name__} has a raw '{own[0]}'")


def _no_width(label: str, width: float, reason: str) -> ModelError:
    return ModelError(
        f"{label} has no width knob at width {width:g}: {reason}; use width 1, a family of "
        "kdsearch, or a model with a knob such as torchvision/resnet18, torchvision/mobilenet_v2 "
        "or torchvision/efficientnet_b0"
    )


def _keep(outputs: int) -> int:
    return outputs


def _scale_rule(model: nn.Module, width: float, round_to: int | None) -> Scale:
    """The rule from an old channel count to the new one; monotone in the width."""
    groups = [
        layer.in_channels // layer.groups
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1
    ]
    divisor = math.lcm(round_to or _DIVISOR, *groups)

    def scale(outputs: int) -> int:
        rounded = max(math.floor(outputs * width / divisor + 0.5), 1) * divisor
        if round_to is not None:
            return min(rounded, outputs // divisor * divisor or outputs) if width <= 1 else rounded
        return min(rounded, outputs) if width < 1 else max(rounded, outputs)

    return scale


@singledispatch
def _resize(layer: Any, _inputs: Tensor, _scale: Scale) -> None:
    """Resize one layer to the inputs that arrive and to scaled outputs."""
    raise TypeError(f"{type(layer).__name__} is not a resizable layer")


@_resize.register
def _(layer: nn.Conv2d, inputs: Tensor, scale: Scale) -> None:
    if layer.groups > 1:
        # what arrives may be a concatenation, whose channels the rule alone does not give
        each = layer.out_channels // layer.groups
        layer.groups = inputs.shape[1] // (layer.in_channels // layer.groups)
        layer.out_channels = layer.groups * each
    else:
        layer.out_channels = scale(layer.out_channels)
    layer.in_channels = inputs.shape[1]
    shape = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
    _renew(layer, shape, (layer.out_channels,))


@_resize.register
def _(layer: nn.Linear, inputs: Tensor, scale: Scale) -> None:
    layer.in_features = inputs.shape[-1]
    layer.out_features = scale(layer.out_features)
    _renew(layer, (layer.out_features, layer.in_features), (layer.out_features,))


@_resize.register
def _(layer: _BatchNorm, inputs: Tensor, _: Scale) -> None:
    layer.num_features = inputs.shape[1]
    _renew(layer, (layer.num_features,), (layer.num_features,))
    if layer.track_running_stats:
        for name in ("running_mean", "running_var"):
            setattr(layer, name, getattr(layer, name).new_empty(layer.num_features))


@_resize.register
def _(layer: nn.LayerNorm, inputs: Tensor, _: Scale) -> None:
    layer.normalized_shape = tuple(inputs.shape[-len(layer.normalized_shape) :])
    _renew(layer, layer.normalized_shape, layer.normalized_shape)


@_resize.register
def _(layer: nn.GroupNorm, inputs: Tensor, _: Scale) -> None:
    layer.num_channels = inputs.shape[1]
    _renew(layer, (layer.num_channels,), (layer.num_channels,))


def _renew(layer: nn.Module, weight: tuple[int, ...], bias: tuple[int, ...]) -> None:
    for name, shape in (("weight", weight), ("bias", bias)):
        old = getattr(layer, name)
        if old is not None:
            setattr(layer, name, nn.Parameter(old.new_empty(shape)))
