"""torchvision's classification models, with a width knob where they allow one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torchvision.models
from torch import nn

from kdsearch.errors import ModelError, described
from kdsearch.models.inputs import ImageShape, Inputs, only_image
from kdsearch.models.rescale import initialise, rescale, set_image_channels
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.names import suggest

PREFIX = "torchvision/"


def names() -> list[str]:
    """torchvision's classification models, as the spec calls them."""
    return [PREFIX + name for name in torchvision.models.list_models(module=torchvision.models)]


def build_torchvision(config: ModelConfig, inputs: Inputs, classes: int) -> TappedNetwork:
    """A torchvision model with random weights, for images of any number of channels.

    Width 1 is torchvision's own model; other widths and ``round_to`` rebuild it layer by layer
    (:func:`~kdsearch.models.rescale.rescale`). Auxiliary classifiers are left out.

    Raises:
        ModelError: Unknown name, a depth, images the model does not take, or a width that it
            cannot have.
    """
    if config.family not in names():
        raise ModelError(f"unknown model '{config.family}'; {suggest(config.family, names())}")
    if config.depth is not None:
        raise ModelError(f"{config.family} has no depth to choose; leave depth out")
    image_shape = only_image(config.family, inputs)
    if config.width == 1 and config.round_to is None:
        model = _construct(config.family, image_shape, classes)
    else:
        model = _construct_scaled(config, image_shape, classes)
    network = TappedNetwork(model, config.family, inputs, classes)
    network.channels_last = True
    return network


def _construct_scaled(config: ModelConfig, image_shape: ImageShape, classes: int) -> nn.Module:
    device = torch.get_default_device()
    with torch.device("meta"):
        model = _construct(config.family, image_shape, classes)
    rescale(model, config.width, image_shape, classes, config.family, config.round_to)
    if device.type != "meta":
        model.to_empty(device=device)
        initialise(model)
    return model


def _construct(family: str, image_shape: ImageShape, classes: int) -> nn.Module:
    name = family.removeprefix(PREFIX)
    options: dict[str, Any] = {}
    for prefix, option in _OPTIONS.items():
        if name.startswith(prefix):
            options |= option(image_shape)
    device = torch.get_default_device()
    # RegNet's constructor computes channel counts with tensors, which have no values on meta.
    builder = torch.device("cpu") if name.startswith("regnet_") else device
    try:
        with builder:
            model = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    except Exception as error:
        _, height, width = image_shape
        raise ModelError(
            f"{family} cannot be built for images of {height}×{width} pixels "
            f"({described(error)}); choose another model or image size"
        ) from error
    set_image_channels(model, image_shape[0])
    return model.to(device)


def _main_output_alone(_: ImageShape) -> dict[str, Any]:
    return {"aux_logits": False, "init_weights": True}


def _square_side(image_shape: ImageShape) -> dict[str, Any]:
    _, height, width = image_shape
    if height != width:
        raise ModelError(
            f"a vision transformer of torchvision cannot take images of {height}×{width} "
            "pixels; give square ones or choose another model"
        )
    return {"image_size": height}


def _sides(image_shape: ImageShape) -> dict[str, Any]:
    return {"input_size": image_shape[1:]}


_OPTIONS: Mapping[str, Callable[[ImageShape], dict[str, Any]]] = MappingProxyType(
    {
        "googlenet": _main_output_alone,
        "inception_": _main_output_alone,
        "vit_": _square_side,
        "maxvit_": _sides,
    }
)
"""What some constructors must be told, by how the model's name starts."""
