"""The user's own networks: ``module:function`` in the spec, or an installed plug-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from kdsearch.errors import ModelError, described
from kdsearch.import_path import current_directory_searched
from kdsearch.models.network import ImageShape, Network
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.plugins import installed, is_reference, load, resolve
from kdsearch.spec.concrete import ModelConfig

GROUP = "kdsearch.models"
"""Entry-point group of installed networks, each a function such as :func:`build_own` calls."""


def is_own(family: str) -> bool:
    """Whether a family in the spec is the user's: ``module:function`` or an entry point's name."""
    return is_reference(family) or family in installed(GROUP)


def build_own(config: ModelConfig, image_shape: ImageShape, classes: int) -> Network:
    """What the user's function returns, as a network.

    The function is called with the keyword arguments ``image_shape``, ``classes``, ``width``,
    and ``depth`` when the spec gives one. It returns a :class:`~kdsearch.models.Network`, or any
    module from images [B, C, H, W] to logits [B, K], which is then wrapped.

    Raises:
        ModelError: The function is not there, fails, or returns something else.
    """
    function = _find(config.family)
    arguments: dict[str, Any] = {
        "image_shape": image_shape,
        "classes": classes,
        "width": config.width,
    }
    if config.depth is not None:
        arguments["depth"] = config.depth
    try:
        with current_directory_searched():
            made = function(**arguments)
    except Exception as error:
        raise ModelError(
            f"{config.family} failed on {', '.join(f'{k}={v}' for k, v in arguments.items())} "
            f"({described(error)}); fix the function"
        ) from error
    return _as_network(made, config.family, image_shape, classes)


def _find(family: str) -> Callable[..., Any]:
    if is_reference(family):
        return resolve(family, "function", ModelError)
    return load(installed(GROUP)[family], ModelError)


def _as_network(made: Any, family: str, image_shape: ImageShape, classes: int) -> Network:
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"{family} returned a {type(made).__name__}; return a torch.nn.Module that maps "
            "images to logits"
        )
    if not isinstance(made, Network):
        return TappedNetwork(made, family, image_shape, classes)
    if (tuple(made.image_shape), made.classes) != (tuple(image_shape), classes):
        raise ModelError(
            f"{family} returned a network for images {made.image_shape} and {made.classes} "
            f"classes; make it for {image_shape} and {classes}"
        )
    return made
