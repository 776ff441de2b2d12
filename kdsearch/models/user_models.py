"""The user's own networks: ``module:function`` in the spec, or an installed plug-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from kdsearch.errors import ModelError, described
from kdsearch.import_path import current_directory_searched
from kdsearch.models.inputs import Inputs, told
from kdsearch.models.network import Network
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.plugins import installed, is_reference, load, resolve
from kdsearch.spec.concrete import ModelConfig

GROUP = "kdsearch.models"
"""Entry-point group of installed networks, each a function such as :func:`build_own` calls."""


def is_own(family: str) -> bool:
    """Whether a family in the spec is the user's: ``module:function`` or an entry point's name."""
    return is_reference(family) or family in installed(GROUP)


def build_own(config: ModelConfig, inputs: Inputs, classes: int) -> Network:
    """What the user's function returns, as a network.

    The function is called with the keyword arguments ``image_shape``, ``classes``, ``width``,
    and ``depth`` and ``round_to`` when the spec gives them; where the input is not one image, with
    ``inputs`` in place of ``image_shape``: a mapping from names to
    :class:`~kdsearch.models.Input`. It returns a :class:`~kdsearch.models.Network`, or any module
    that takes a batch of each input in this order, such as images [B, C, H, W], and returns logits
    [B, K], which is then wrapped.

    Raises:
        ModelError: The function is not there, fails, or returns something else.
    """
    function = _find(config.family)
    arguments: dict[str, Any] = {"inputs": dict(inputs), "classes": classes, "width": config.width}
    only = next(iter(inputs.values()))
    if len(inputs) == 1 and only.kind == "image":
        arguments = {"image_shape": only.shape, **arguments}
        del arguments["inputs"]
    if config.depth is not None:
        arguments["depth"] = config.depth
    if config.round_to is not None:
        arguments["round_to"] = config.round_to
    try:
        with current_directory_searched():
            made = function(**arguments)
    except Exception as error:
        raise ModelError(
            f"{config.family} failed on {', '.join(f'{k}={v}' for k, v in arguments.items())} "
            f"({described(error)}); fix the function"
        ) from error
    return _as_network(made, config.family, inputs, classes)


def _find(family: str) -> Callable[..., Any]:
    if is_reference(family):
        return resolve(family, "function", ModelError)
    return load(installed(GROUP)[family], ModelError)


def _as_network(made: Any, family: str, inputs: Inputs, classes: int) -> Network:
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"{family} returned a {type(made).__name__}; return a torch.nn.Module that maps "
            "the inputs to logits"
        )
    if not isinstance(made, Network):
        return TappedNetwork(made, family, inputs, classes)
    if (_forms(made.inputs), made.classes) != (_forms(inputs), classes):
        raise ModelError(
            f"{family} returned a network for {told(made.inputs)} and {made.classes} outputs; make "
            f"it for {told(inputs)} and {classes}"
        )
    return made


def _forms(inputs: Inputs) -> list[tuple[str, tuple[int, ...]]]:
    """Kinds and shapes, in order; a network need not know what the data call them."""
    return [(each.kind, tuple(each.shape)) for each in inputs.values()]
