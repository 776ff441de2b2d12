"""A narrower network with the weights of a wider one's most important channels."""

from __future__ import annotations

from itertools import chain

from torch import nn

from kdsearch.compression.channels import coupled_channels
from kdsearch.compression.filling import fill
from kdsearch.compression.importance import Batches, scored
from kdsearch.compression.layers import sides
from kdsearch.compression.matching import copy_leading
from kdsearch.compression.units import Kept, choose, units
from kdsearch.errors import ModelError
from kdsearch.models.network import Network
from kdsearch.spec.concrete import Importance


def cut(source: Network, target: Network, importance: Importance, batches: Batches = ()) -> Kept:
    """Fill a narrower network with the weights of a wider one's most important channels.

    Both have the same layers by name; the narrower one's channel counts are its own family's at its
    width, so it is an ordinary network. Channels that are coupled are kept or dropped together, and
    those that are kept stay in their order. Where the dropped ones are zero, or nobody reads them,
    the narrower network computes what the wider one does.

    Args:
        source: The wider network; it is left as it is.
        target: The narrower one; its parameters and buffers are overwritten.
        importance: What decides (:func:`~kdsearch.compression.importance.scored`).
        batches: Training samples; for ``activation`` and ``taylor``.

    Returns:
        For each channel of each layer of ``target``, its place in ``source``.

    Raises:
        ModelError: The networks do not have the same layers, or their channels are coupled in
            different ways, or something changes with the width that is not cut.
    """
    try:
        _check_layers(source, target)
        channels = coupled_channels(target)
        wider = units(coupled_channels(source), source, target)
        narrower = units(channels, target, source)
        scores = scored(source, chain.from_iterable(wider.values()), importance, batches)
        kept = choose(wider, narrower, scores, channels)
        fill(target, source, kept)
    except ModelError as error:
        raise ModelError(f"{_label(target)} cannot be cut from a wider network: {error}") from None
    return kept


def cut_to_depth(source: Network, target: Network) -> None:
    """Fill a network that is shallower, and as wide, with some of another's layers.

    Raises:
        ModelError: The layers do not match.
    """
    reason = copy_leading(source, target)
    if reason is not None:
        raise ModelError(f"{_label(target)} cannot be cut from a deeper network: {reason}")


def _check_layers(source: nn.Module, target: nn.Module) -> None:
    for name in dict.fromkeys(side.layer for side in (*sides(target), *sides(source))):
        kinds = []
        for each in (target, source):
            try:
                kinds.append(type(each.get_submodule(name)))
            except AttributeError:
                raise ModelError(f"the layer {name} is in one of the two networks alone") from None
        if kinds[0] is not kinds[1]:
            raise ModelError(f"the layer {name} is another one in the wider network")


def _label(network: Network) -> str:
    return network.family or type(network).__name__
