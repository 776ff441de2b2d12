"""The space of settings: all but the sizes, which are those of students of middle size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdsearch.methods import parse_label
from kdsearch.space.chains import Chain, shortened
from kdsearch.space.given import Near, Pinned
from kdsearch.space.space import Drawing, Space, Suggester
from kdsearch.spec.ranges import holds, is_searched
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.teaching import BORN_AGAIN, MUTUAL
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task
from kdsearch.ways import make_ways

PRIOR_HALVES = 8
"""Trials after which half as many begin near one of the first."""

PRIOR_SPREAD = 0.15
"""Standard deviation of such values, as a share of the range, on its own scale."""


class AnchoredSpace(Space):
    """A space in which widths and depths are those of the middle of each entry's chains.

    Trainings are as long as a link of a chain.

    Args:
        space: The study's.
        chains: Its chains.
    """

    def __init__(self, space: Space, chains: Sequence[Chain]) -> None:
        super().__init__(space.spec, space.fitting, space.inputs)
        self._pins: dict[str, Any] = {}
        by_student: dict[str, list[Chain]] = {}
        for chain in chains:
            by_student.setdefault(chain.student, []).append(chain)
        for own in by_student.values():
            middle = own[len(own) // 2]
            self._pins |= middle.parameters(middle.middle)

    def settings(self, past: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Parameters without those that are given here, each choice once, in their order."""
        found: list[dict[str, Any]] = []
        for parameters in past:
            own = {name: value for name, value in parameters.items() if name not in self._pins}
            if own not in found:
                found.append(own)
        return found

    def drawing(self, trial: Drawing) -> Drawing:
        return Pinned(trial, self._pins)

    def suggest(self, trial: Suggester) -> Recipe:
        return shortened(super().suggest(trial), self.spec)

    def published(self, label: str) -> dict[str, Any]:
        """As :meth:`Space.published`, with the learning rate and such that the spec has by itself.

        On one size these are as likely to be near the best as the method's own.
        """
        found, section = super().published(label), self.spec.training
        for name in SEARCHED_TRAINING:
            dimension, usual = getattr(section, name), type(section).model_fields[name].default
            if is_searched(dimension) and holds(dimension, usual):
                found[name] = usual
        return found

    def near(
        self, tried: int, first: Sequence[Mapping[str, Any]], random: np.random.Generator
    ) -> dict[str, Any] | None:
        """Values around one of the first trials, at half of the places and ever fewer.

        So what is known before weighs much at first, and what was tried here more and more (PriMO,
        arXiv 2511.08371, has a prior that decays).
        """
        if random.random() >= 0.5 ** (1 + tried / PRIOR_HALVES):
            return None
        near = Near(first[int(random.integers(len(first)))], random, PRIOR_SPREAD)
        self.suggest(near)
        return near.kept


def is_chainable(task: Task) -> bool:
    """Whether students of a task's method, teacher and way can be cut from trained ones.

    Not where the method prepares the student or gives it a classifier, nor where it is taught by
    its own like, which would have to be cut too, nor where a way changes its layers or cuts it
    itself.
    """
    if any(way.changes != "weights" for way in make_ways(task.model.ways)):
        return False
    return task.teacher not in (BORN_AGAIN, MUTUAL) and not any(
        term.adopts_classifier
        or term.kind == "parameter"
        or "initialisation" in term.hyperparameters
        for term in parse_label(task.method.label)
    )
