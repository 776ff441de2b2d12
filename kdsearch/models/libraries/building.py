"""What is common to networks of libraries: one image, a width by rebuilding, taps for signals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from kdsearch.errors import ModelError
from kdsearch.models.inputs import ImageShape, Inputs, only_image
from kdsearch.models.libraries.library import built_by
from kdsearch.models.rescale import initialise, rescale
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.names import suggest

Construct = Callable[[ImageShape], nn.Module]
"""Builds a module of width 1 for images (C, H, W), on torch's default device."""


def check_name(family: str, known: list[str]) -> None:
    """Refuse a family that its library does not list.

    Raises:
        ModelError: With the nearest name.
    """
    if family not in known:
        raise ModelError(f"unknown model '{family}'; {suggest(family, known)}")


def tapped(
    config: ModelConfig, inputs: Inputs, classes: int, construct: Construct
) -> TappedNetwork:
    """A module of a library as a network with random weights.

    Width 1 is the library's own module; other widths and ``round_to`` rebuild it layer by layer
    (:func:`~kdsearch.models.rescale.rescale`).

    Raises:
        ModelError: A depth, other inputs than one image, images that the module does not take, or
            a width that it cannot have.
    """
    if config.depth is not None:
        raise ModelError(f"{config.family} has no depth to choose; leave depth out")
    image_shape = only_image(config.family, inputs)
    told = next(iter(inputs.values())).told
    if config.width == 1 and config.round_to is None:
        model = _constructed(construct, config.family, image_shape, told)
    else:
        model = _scaled(construct, config, image_shape, told, classes)
    network = TappedNetwork(model, config.family, inputs, classes)
    network.channels_last = True
    return network


def _scaled(
    construct: Construct, config: ModelConfig, image_shape: ImageShape, told: str, classes: int
) -> nn.Module:
    device = torch.get_default_device()
    with torch.device("meta"):
        model = _constructed(construct, config.family, image_shape, told)
    rescale(model, config.width, image_shape, classes, config.family, config.round_to)
    if device.type != "meta":
        model.to_empty(device=device)
        initialise(model)
    return model


def _constructed(
    construct: Construct, family: str, image_shape: ImageShape, told: str
) -> nn.Module:
    """A module on the default device.

    Some constructors compute channel counts with tensors, which have no values on the meta
    device: their modules are made on the processor and moved.
    """
    device = torch.get_default_device()
    with built_by(family, told):
        if device.type != "meta":
            return construct(image_shape)
        try:
            return construct(image_shape)
        except Exception:  # told below, if it is no matter of the device
            with torch.device("cpu"):
                return construct(image_shape).to(device)
