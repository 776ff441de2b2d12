"""Chains of students: of one family and depth, each narrower than the one before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsearch.methods import UNDISTILLED
from kdsearch.space.given import Given
from kdsearch.space.space import Space
from kdsearch.space.starts import easiest
from kdsearch.space.usable import Usable
from kdsearch.spec.ranges import Choices, Range, every, extremes
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.training.recipe import Recipe
from kdsearch.ways import way_values

MOST_DEPTHS = 4
"""Depths of an entry of ``students`` that have a chain, evenly spread over its range."""


@dataclass(frozen=True)
class Chain:
    """Students of one entry of ``students`` and one depth.

    Attributes:
        student: The entry's name in the space.
        depth: Their depth; ``None`` where the entry says none.
        widths: The widest first. Each has fewer parameters than the one before.
        cut: Whether they may be cut from one another; else each is trained in full.
    """

    student: str
    depth: int | None
    widths: tuple[float, ...]
    cut: bool = True

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Chain:
        """A chain from its fields, as they are in JSON."""
        return cls(**{**fields, "widths": tuple(fields["widths"])})

    @property
    def middle(self) -> int:
        """The place of the student on which settings are searched, and with which it begins."""
        return len(self.widths) // 2

    def parameters(self, place: int) -> dict[str, Any]:
        """What the parameters of the student at a place are, of those that a chain decides."""
        given: dict[str, Any] = {f"{self.student}.width": self.widths[place]}
        return given if self.depth is None else given | {f"{self.student}.depth": self.depth}


def chains(space: Space, usable: Usable) -> list[Chain]:
    """The chains of every entry of ``students``, in their order; of a fixed width they have one.

    Args:
        space: The study's.
        usable: Tells which students are within the limits.
    """
    found, factor = [], space.spec.search.ladder.factor
    for key, section in space.students.items():
        for depth in _depths(section):
            widths, last = [], math.inf
            for width in _widths(section, factor):
                chain = Chain(key, depth, (width,))
                record = usable.trial(*plain_recipe(space, chain, 0))
                if record is not None and record.parameter_count < last:
                    widths.append(width)
                    last = record.parameter_count
            if widths:
                found.append(Chain(key, depth, tuple(widths)))
    return found


def plain_recipe(space: Space, chain: Chain, place: int) -> tuple[Recipe, int, dict[str, Any]]:
    """The undistilled student at a place of a chain, as :meth:`Usable.trial` takes it.

    Of what else its entry leaves open it has what keeps most limits.
    """
    key, section = chain.student, space.students[chain.student]
    values: dict[str, Any] = {"method": UNDISTILLED, **chain.parameters(place)}
    values |= dict.fromkeys(("student", f"{UNDISTILLED}.alone.student"), key)
    values |= {f"{key}.stored": section.smallest_stored, f"{key}.init": easiest(section)}
    values[f"{key}.importance"] = section.importance[0]
    way = space.ways_of(key)[0]
    values |= dict.fromkeys(("way", f"{key}.way"), way)
    values |= {f"{way}.{name}": v for name, v in way_values(space.way_probes(way)[0]).items()}
    if section.image_size is not None:
        values[f"{key}.image_size"] = extremes(section.image_size)[0]
    given = Given(values)
    return space.suggest(given), 0, given.params


def _depths(section: StudentSection) -> list[int | None]:
    depth = section.depth
    if depth is None:
        return [None]
    depths: Sequence[int]
    if isinstance(depth, Range):
        depths = range(int(depth.low), int(depth.high) + 1, int(depth.step or 1))
    else:
        depths = sorted({int(each) for each in every(depth)})
    count = min(len(depths), MOST_DEPTHS)
    places = np.linspace(0, len(depths) - 1, count).round().astype(int)
    return [int(depths[place]) for place in places]


def _widths(section: StudentSection, factor: float) -> Iterator[float]:
    """The widths of a chain, the widest first."""
    width = section.width
    if isinstance(width, Choices):
        yield from sorted((float(each) for each in width.choices), reverse=True)
    elif isinstance(width, Range):
        low, high = float(width.low), float(width.high)
        links = max(math.ceil(round(math.log(high / low) / math.log(factor), 6)), 1)
        for place in range(links + 1):
            yield _on_grid(high * (low / high) ** (place / links), width)
    else:
        yield float(width)


def _on_grid(value: float, width: Range) -> float:
    if width.step is None:
        return min(max(value, float(width.low)), float(width.high))
    steps = round((value - width.low) / width.step)
    return min(float(width.low + steps * width.step), float(width.high))


def shortened(recipe: Recipe, spec: StudySpec) -> Recipe:
    """A recipe with ``search.ladder.link`` of the epochs, on a schedule of its own."""
    epochs = spec.search.ladder.shortened(recipe.training.epochs)
    return recipe.lasting(epochs, recipe.training)
