"""What of a network is kept or dropped together, and which of it a narrower one keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kdsearch.compression.channels import Channels, joined
from kdsearch.compression.layers import Side, each_group, groups_of
from kdsearch.errors import ModelError

Unit: TypeAlias = Mapping[Side, list[int]]
"""Places that are kept or dropped together: one channel wherever it goes, or a whole group of a
grouped convolution with all that is coupled to it."""

Form: TypeAlias = tuple[tuple[Side, tuple[int, ...], tuple[int, ...]], ...]
"""Equal for units that can stand for each other: where they are, in which groups of a grouped
convolution, and which of their places hold the same channel."""

Kept: TypeAlias = Mapping[Side, NDArray[np.int64]]
"""For each channel of a side of the narrower network, its place in the wider one."""


def units(channels: Channels, network: nn.Module, other: nn.Module) -> dict[Form, list[Unit]]:
    """A network's units by their form, each list in the order of their first places.

    Where a grouped convolution has other groups of the same kind in the ``other`` network, whole
    groups are units; where it has as many, a unit stays in its group.

    Raises:
        ModelError: A grouped convolution differs in both.
    """
    grouped = {name: groups_of(layer) for name, layer in network.named_modules()}
    changed = {
        name for name, count in grouped.items() if count != groups_of(other.get_submodule(name))
    }
    for name in changed:
        _check_groups(name, network, other)
    numbers = _bundled(channels, network, changed)
    found: dict[Form, list[Unit]] = {}
    for unit in _places(numbers):
        form = _form(unit, channels, grouped, changed)
        found.setdefault(form, []).append(unit)
    return found


def choose(
    wider: Mapping[Form, list[Unit]],
    narrower: Mapping[Form, list[Unit]],
    scores: Mapping[int, float],
    channels: Channels,
) -> Kept:
    """The best units of the wider network for those of the narrower one, their order kept.

    Args:
        wider: Units of the network that is cut.
        narrower: Those of the network that is filled.
        scores: Of each unit of the wider one, by ``id``; of equal ones the first is kept.
        channels: Of the narrower network.

    Raises:
        ModelError: The narrower network has more units of a form than the wider one.
    """
    kept = {side: np.zeros(len(numbers), dtype=np.int64) for side, numbers in channels.items()}
    for form, places in narrower.items():
        known = wider.get(form, [])
        if len(known) < len(places):
            raise ModelError(_too_few(form, len(places), len(known)))
        best = sorted(range(len(known)), key=lambda place: -scores[id(known[place])])
        for unit, number in zip(places, sorted(best[: len(places)]), strict=True):
            for side, own in unit.items():
                kept[side][own] = known[number][side]
    return kept


def _too_few(form: Form, wanted: int, known: int) -> str:
    layer = form[0][0].layer
    if known == 0:
        return f"the channels at {layer} are coupled otherwise in the two networks"
    return f"it has {wanted} channels of a kind at {layer}, and the wider network {known}"


def _check_groups(name: str, network: nn.Module, other: nn.Module) -> None:
    own, others = (each_group(each.get_submodule(name)) for each in (network, other))
    if own != others:
        raise ModelError(f"the grouped convolution {name} differs in its groups and in their size")


def _bundled(channels: Channels, network: nn.Module, changed: set[str]) -> Channels:
    """Channels numbered anew, so that those of one group of a changed convolution are one."""
    if not changed:
        return channels
    before: list[int] = []
    behind: list[int] = []
    for name in changed:
        size, made = each_group(network.get_submodule(name))
        own, out = channels[Side(name, "in")], channels[Side(name, "out")]
        for group in range(len(own) // size):
            first = int(own[group * size])
            members = [*own[group * size :][:size], *out[group * made :][:made]]
            before += [first] * len(members)
            behind += map(int, members)
    total = 1 + max(int(numbers.max()) for numbers in channels.values())
    merged = joined(total, before, behind)
    return {side: merged[numbers] for side, numbers in channels.items()}


def _places(numbers: Channels) -> Iterator[Unit]:
    found: dict[int, dict[Side, list[int]]] = {}
    for side, each in numbers.items():
        for place, number in enumerate(each.tolist()):
            found.setdefault(number, {}).setdefault(side, []).append(place)
    yield from found.values()


def _form(unit: Unit, channels: Channels, grouped: Mapping[str, int], changed: set[str]) -> Form:
    order: dict[int, int] = {}
    found = []
    for side, places in unit.items():
        alike = [order.setdefault(int(channels[side][each]), len(order)) for each in places]
        groups: tuple[int, ...] = ()
        if grouped[side.layer] > 1 and side.layer not in changed:
            size = len(channels[side]) // grouped[side.layer]
            groups = tuple(each // size for each in places)
        found.append((side, groups, tuple(alike)))
    return tuple(found)
