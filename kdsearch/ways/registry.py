"""The ways by name: kdsearch's own, installed plug-ins, and the user's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from torch import nn

from kdsearch.errors import ModelError
from kdsearch.plugins import check_class, check_own_name, find_class, installed
from kdsearch.spec.concrete import WayConfig
from kdsearch.spec.names import suggest
from kdsearch.spec.ways import NO_WAY
from kdsearch.ways.base import Changes, Way
from kdsearch.ways.codebook import Codebook
from kdsearch.ways.constraints import settle
from kdsearch.ways.low_rank import LowRank
from kdsearch.ways.prune import Prune
from kdsearch.ways.quantize import Quantize
from kdsearch.ways.share import Share
from kdsearch.ways.sparse import Sparse, TwoOfFour

_CLASSES: tuple[type[Way], ...] = (
    Prune,
    LowRank,
    Share,
    Sparse,
    TwoOfFour,
    Codebook,
    Quantize,
)

WAYS: Mapping[str, type[Way]] = MappingProxyType({cls.name: cls for cls in _CLASSES})
"""Every way of kdsearch by its name in the spec."""

GROUP = "kdsearch.ways"
"""Entry-point group of installed ways, each a subclass of :class:`Way`."""

ORDER: tuple[str, ...] = get_args(Changes)
"""Kinds of change in the order in which ways are applied."""


def way_names() -> tuple[str, ...]:
    """Every name that a label may hold, ``none`` first, plug-ins last."""
    return NO_WAY, *WAYS, *(name for name in installed(GROUP) if name not in WAYS)


def find_way(name: str) -> type[Way]:
    """A way by its name, by that of an installed plug-in, or by ``module:Class``.

    Raises:
        ModelError: There is none of that name, or what is there is no complete way.
    """
    found = find_class(name, WAYS, GROUP, way_names, "way", ModelError)
    return found if name in WAYS else _checked(found, name)


def make_ways(configs: Sequence[WayConfig]) -> list[Way]:
    """The ways of a network, in the order in which they are applied.

    Raises:
        ModelError: There is no such way, or a value makes no sense.
    """
    return [find_way(each.name)(**each.values) for each in configs]


def reshape(network: nn.Module, ways: Sequence[Way]) -> None:
    """Change a network that was just built as its ways say.

    Raises:
        ModelError: A way would make nothing of it.
    """
    for way in ways:
        way.check(network)
        way.reshape(network)


def fill(network: nn.Module, whole: nn.Module, ways: Sequence[Way]) -> None:
    """Give a network of some ways the weights of the same network without them."""
    (_that_changes(ways, "layers") or ways[0]).fill(network, whole)


def form_at_end(network: nn.Module, ways: Sequence[Way], steps: int = 1) -> None:
    """Give the weights of a network the form that they have at the end of so many steps of a
    training, without training them."""
    for way in ways:
        way.constrain(network)
        for done in range(1, steps + 1):
            way.step(network, done, steps)
    settle(network)


def storing(ways: Sequence[Way]) -> Way | None:
    """The way that says how weights are stored, if one does."""
    return _that_changes(ways, "weights")


def staging(ways: Sequence[Way]) -> Way | None:
    """The way that divides the training into stages, if one does."""
    return _that_changes(ways, "start")


def _that_changes(ways: Sequence[Way], what: Changes) -> Way | None:
    return next((way for way in ways if way.changes == what), None)


def _checked(found: Any, reference: str) -> type[Way]:
    """What a plug-in gives, if it states all that a way must."""
    facts = ("name", "about", "paper", "changes", "hyperparameters")
    check_class(found, reference, Way, facts, ModelError)
    if found.changes not in ORDER:
        raise ModelError(f"{reference} changes '{found.changes}'; {suggest(found.changes, ORDER)}")
    check_own_name(found.name, reference, ModelError)
    return found
