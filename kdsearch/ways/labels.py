"""Sums of ways in the spec: a label, its ways, and the values that they can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kdsearch.errors import ModelError
from kdsearch.spec.concrete import WayConfig
from kdsearch.spec.hyperparameter import Hyperparameter, lacking
from kdsearch.spec.ranges import Dimension
from kdsearch.spec.ways import NO_WAY
from kdsearch.ways.base import CHANGED, Way
from kdsearch.ways.registry import ORDER, find_way


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
                f"{CHANGED[way.changes]}; keep one"
            )
        found[way.changes] = way
    return tuple(found[each] for each in ORDER if each in found)


def way_hyperparameters(label: str) -> dict[str, Hyperparameter]:
    """Every value that a label can be given: by its name, in a sum by ``WAY.NAME``.

    Raises:
        ModelError: As :func:`parse_ways`.
    """
    ways = parse_ways(label)
    return {
        _full_name(ways, way, name): declared
        for way in ways
        for name, declared in way.hyperparameters.items()
    }


def searched_way_values(
    label: str, given: Mapping[str, Dimension]
) -> dict[str, tuple[Hyperparameter, Dimension]]:
    """Each value of a label with what it may be: as given, else as the way searches it.

    Args:
        label: As in the spec.
        given: What the spec says of its values.

    Raises:
        ModelError: As :func:`parse_ways`.
    """
    return {
        name: (declared, given.get(name, declared.search or declared.default))
        for name, declared in way_hyperparameters(label).items()
    }


def way_configs(label: str, values: Mapping[str, float]) -> tuple[WayConfig, ...]:
    """The ways of a label with values in place and published defaults elsewhere.

    Args:
        label: As in the spec.
        values: By the names of :func:`way_hyperparameters`.

    Raises:
        ModelError: As :func:`parse_ways`; a value that makes no sense or is of no way.
    """
    found, ways, declared = [], parse_ways(label), way_hyperparameters(label)
    for name in values:
        if told := lacking(label, name, declared):
            raise ModelError(told)
    for way in ways:
        full = {name: _full_name(ways, way, name) for name in way.hyperparameters}
        own = {name: values[known] for name, known in full.items() if known in values}
        found.append(
            WayConfig(
                name=_reference(way, label), values=way(**own).values, cuts=way.changes == "start"
            )
        )
    return tuple(found)


def way_label(configs: Sequence[WayConfig]) -> str:
    """The label of a network's ways: ``none`` where it has none."""
    return "+".join(each.name for each in configs) or NO_WAY


def way_values(configs: Sequence[WayConfig]) -> dict[str, float]:
    """The values of a network's ways, by the names of :func:`way_hyperparameters`."""
    several = len(configs) > 1
    return {
        f"{each.name}.{name}" if several else name: value
        for each in configs
        for name, value in each.values.items()
    }


def wider_ways(configs: Sequence[WayConfig]) -> tuple[WayConfig, ...]:
    """Those of a network's ways that cut it from a wider one while it is trained."""
    return tuple(each for each in configs if each.cuts)


def _full_name(ways: Sequence[type[Way]], way: type[Way], name: str) -> str:
    return name if len(ways) == 1 else f"{way.name}.{name}"


def _reference(way: type[Way], label: str) -> str:
    """What finds a way again: its name, or the user's ``module:Class``."""
    return next((part for part in label.split("+") if find_way(part) is way), way.name)
