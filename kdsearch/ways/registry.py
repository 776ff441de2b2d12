"""The ways by name: kdsearch's own, installed plug-ins, and the user's classes; sums of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from torch import nn

from kdsearch.errors import ModelError
from kdsearch.plugins import check_class, check_own_name, find_class, installed
from kdsearch.spec.concrete import WayConfig
from kdsearch.spec.hyperparameter import Hyperparameter
from kdsearch.spec.names import suggest
from kdsearch.spec.ways import NO_WAY
from kdsearch.ways.base import Changes, Way
from kdsearch.ways.codebook import Codebook
from kdsearch.ways.low_rank import LowRank
from kdsearch.ways.quantize import Quantize
from kdsearch.ways.share import Share
from kdsearch.ways.sparse import Sparse, TwoOfFour

_CLASSES: tuple[type[Way], ...] = (LowRank, Share, Sparse, TwoOfFour, Codebook, Quantize)

WAYS: Mapping[str, type[Way]] = MappingProxyType({cls.name: cls for cls in _CLASSES})
"""Every way of kdsearch by its name in the spec."""

GROUP = "kdsearch.ways"
"""Entry-point group of installed ways, each a subclass of :class:`Way`."""

_ORDER: tuple[str, ...] = get_args(Changes)


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


def parse_ways(label: str) -> tuple[type[Way], ...]:
    """The ways of a label such as ``"low_rank+quantize"``, in the order in which they are applied;
    ``()`` for ``"none"``.

    Raises:
        ModelError: An unknown or empty name, or two ways that change the same.
    """
    if label == NO_WAY:
        return ()
    found: dict[str, type[Way]] = {}
    for name in label.split("+"):
        if name == NO_WAY or not name:
            raise ModelError(
                f"'{label}' has an empty part or '{NO_WAY}' in a sum; write it as low_rank or "
                "low_rank+quantize"
            )
        way = find_way(name)
        other = found.get(way.changes)
        if other is not None:
            raise ModelError(
                f"'{label}': {other.name} and {way.name} both change "
                f"{_CHANGED[way.changes]}; keep one"
            )
        found[way.changes] = way
    return tuple(found[each] for each in _ORDER if each in found)


_CHANGED = {
    "layers": "the layers",
    "weights": "how weights are stored",
}


def way_hyperparameters(label: str) -> dict[str, Hyperparameter]:
    """Every value that a label can be given, by ``WAY.NAME``.

    Raises:
        ModelError: As :func:`parse_ways`.
    """
    return {
        f"{way.name}.{name}": declared
        for way in parse_ways(label)
        for name, declared in way.hyperparameters.items()
    }


def way_configs(label: str, values: Mapping[str, float]) -> tuple[WayConfig, ...]:
    """The ways of a label with values in place and published defaults elsewhere.

    Args:
        label: As in the spec.
        values: By the names of :func:`way_hyperparameters`.

    Raises:
        ModelError: As :func:`parse_ways`; a value that makes no sense.
    """
    found = []
    for way in parse_ways(label):
        own = {
            name: values[f"{way.name}.{name}"]
            for name in way.hyperparameters
            if f"{way.name}.{name}" in values
        }
        found.append(WayConfig(name=_reference(way, label), values=way(**own).values))
    return tuple(found)


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
    changing = [way for way in ways if way.changes == "layers"]
    way = next(iter(changing), ways[0])
    way.fill(network, whole)


def storing(ways: Sequence[Way]) -> Way | None:
    """The way that says how weights are stored, if one does."""
    return next((way for way in ways if way.changes == "weights"), None)


def _reference(way: type[Way], label: str) -> str:
    """What finds a way again: its name, or the user's ``module:Class``."""
    return next((part for part in label.split("+") if find_way(part) is way), way.name)


def _checked(found: Any, reference: str) -> type[Way]:
    """What a plug-in gives, if it states all that a way must."""
    facts = ("name", "about", "paper", "changes", "hyperparameters")
    check_class(found, reference, Way, facts, ModelError)
    if found.changes not in _ORDER:
        raise ModelError(f"{reference} changes '{found.changes}'; {suggest(found.changes, _ORDER)}")
    check_own_name(found.name, reference, ModelError)
    return found
