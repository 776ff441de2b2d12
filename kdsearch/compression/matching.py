"""Layers of networks of different depths matched, and leading slices of their weights copied."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

import torch
from torch import Tensor

from kdsearch.models.network import Network
from kdsearch.models.weights import tensors_of

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Leaf:
    """A tensor: its full name and its number of dimensions."""

    name: str
    rank: int


_Tree: TypeAlias = "_Leaf | dict[str, Any]"
"""A tensor, or a module's children by name in their order."""

_Run: TypeAlias = list[tuple[_Tree, ...]]
"""Equal units in a row, each of one child or of several, such as convolution and normalisation."""


@dataclass(frozen=True)
class _Match:
    """Teacher's names by the student's, and what of the teacher finds no use.

    Attributes:
        cost: Runs of layers and named children of the teacher that are left out altogether.
        names: The teacher's tensor of each of the student's.
    """

    cost: tuple[int, int] = (0, 0)
    names: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: _Match) -> _Match:
        cost = (self.cost[0] + other.cost[0], self.cost[1] + other.cost[1])
        return _Match(cost, {**self.names, **other.names})


def match_weights(student: Shapes, teacher: Shapes) -> dict[str, str] | None:
    """The teacher's tensor that each of the student's matches, by their names and ranks.

    Children with names are matched by name. Children with numbers, those of ``nn.Sequential`` and
    ``nn.ModuleList``, are matched in order: the teacher's are read as runs of equal units (three
    blocks; four times a convolution and its normalisation), and the student's as some units of
    each run, evenly spaced, the first and the last among them where there are two or more. Of
    several such readings the one that leaves fewest of the teacher's runs out is taken. Layers
    without weights do not count, so that numbers shifted by pooling do no harm.

    Args:
        student: Shapes of its parameters and buffers by name.
        teacher: The same of the teacher.

    Returns:
        ``None`` where the student has layers that match none of the teacher's.
    """
    found = _match(_tree(student), _tree(teacher))
    return None if found is None else dict(found.names)


def misfit(student: Shapes, teacher: Shapes) -> str | None:
    """Why a network cannot take slices of another's weights; ``None`` where it can.

    Args:
        student: Shapes of its parameters and buffers by name.
        teacher: The same of the teacher.
    """
    names = match_weights(student, teacher)
    if names is None:
        return "the student has layers that match none of the teacher's"
    for own, theirs in names.items():
        if any(s > t for s, t in zip(student[own], teacher[theirs], strict=True)):
            return (
                f"the student's {own} {list(student[own])} is larger than the teacher's {theirs} "
                f"{list(teacher[theirs])}"
            )
    return None


def copy_leading(source: Network, target: Network) -> str | None:
    """Fill a network with leading slices of another's parameters and buffers, in every dimension.

    A shallower network takes some of the other's layers (:func:`match_weights`).

    Args:
        source: The other network.
        target: The network that is filled; where it cannot be, it is left as it is.

    Returns:
        Why it cannot be filled, or ``None``.
    """
    own, theirs = tensors_of(target), tensors_of(source)
    reason = misfit(_shapes(own), _shapes(theirs))
    names = match_weights(_shapes(own), _shapes(theirs))
    if reason is not None or names is None:
        return reason
    with torch.no_grad():
        for name, values in own.items():
            values.copy_(theirs[names[name]][tuple(slice(size) for size in values.shape)])
    return None


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(values.shape) for name, values in state.items()}


def _tree(weights: Shapes) -> _Tree:
    root: dict[str, Any] = {}
    for name, shape in weights.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node[last] = _Leaf(name, len(shape))
    return root


def _parts(tree: dict[str, Any]) -> tuple[dict[str, _Tree], list[_Tree]]:
    """A module's named children, and its numbered ones in order."""
    named = {key: child for key, child in tree.items() if not key.isdecimal()}
    return named, [child for key, child in tree.items() if key.isdecimal()]


def _match(student: _Tree, teacher: _Tree) -> _Match | None:
    if isinstance(student, _Leaf) and isinstance(teacher, _Leaf):
        return _Match(names={student.name: teacher.name}) if student.rank == teacher.rank else None
    if isinstance(student, _Leaf) or isinstance(teacher, _Leaf):
        return None
    (named, numbered), (theirs, their_numbered) = _parts(student), _parts(teacher)
    if not named.keys() <= theirs.keys():
        return None
    own = _match_pairs([(child, theirs[key]) for key, child in named.items()])
    rest = _match_runs(numbered, _runs(their_numbered))
    if own is None or rest is None:
        return None
    return _Match((0, len(theirs) - len(named))) + own + rest


def _match_pairs(pairs: Sequence[tuple[_Tree, _Tree]]) -> _Match | None:
    total = _Match()
    for student, teacher in pairs:
        found = _match(student, teacher)
        if found is None:
            return None
        total += found
    return total


def _match_runs(students: Sequence[_Tree], runs: Sequence[_Run]) -> _Match | None:
    """The cheapest reading of the student's children as some units of each of the runs."""
    if len(students) > sum(len(unit) for run in runs for unit in run):
        return None
    if not runs:
        return _Match()
    first, *others = runs
    size = len(first[0])
    best: _Match | None = None
    for count in reversed(range(min(len(first), len(students) // size) + 1)):
        rest = _match_runs(students[count * size :], others)
        if rest is None:
            continue
        chosen = chain.from_iterable(first[place] for place in evenly_spaced(count, len(first)))
        found = _match_pairs(list(zip(students, chosen, strict=False)))
        if found is None:
            continue
        found = _Match((int(count == 0), 0)) + found + rest
        if best is None or found.cost < best.cost:
            best = found
    return best


def evenly_spaced(count: int, total: int) -> list[int]:
    """``count`` of the places 0 to ``total`` − 1: the first, the last, and rounded ones between.

    A single one is the first, since its inputs are those of the whole run.
    """
    if count < 2:
        return list(range(count))
    gaps = count - 1
    return [(2 * place * (total - 1) + gaps) // (2 * gaps) for place in range(count)]


def _runs(children: Sequence[_Tree]) -> list[_Run]:
    """Children read from the left as units in a row; of several readings the one that goes on
    longest, then that of the shortest unit."""
    kinds = [_kind(child) for child in children]
    runs: list[_Run] = []
    start = 0
    while start < len(children):
        size, count = max(
            ((size, _repeats(kinds[start:], size)) for size in range(1, len(kinds) - start + 1)),
            key=lambda run: (run[0] * run[1] if run[1] > 1 else 1, -run[0]),
        )
        ends = range(start, start + size * count, size)
        runs.append([tuple(children[place : place + size]) for place in ends])
        start += size * count
    return runs


def _repeats(kinds: Sequence[Hashable], size: int) -> int:
    """How often the first ``size`` kinds stand there in a row."""
    count = 1
    while kinds[count * size : (count + 1) * size] == kinds[:size]:
        count += 1
    return count


def _kind(tree: _Tree) -> Hashable:
    """What makes layers alike: names and ranks of the weights, whatever the depth of a row."""
    if isinstance(tree, _Leaf):
        return tree.rank
    named, numbered = _parts(tree)
    alike = tuple(tuple(_kind(child) for child in run[0]) for run in _runs(numbered))
    return frozenset((key, _kind(child)) for key, child in named.items()), alike
