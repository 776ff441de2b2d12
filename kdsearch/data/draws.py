"""What is drawn from a source's samples, by the settings of its section."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdsearch.data.dataset import Split
from kdsearch.data.split import draw_any, draw_limit, draw_share, present, strata
from kdsearch.data.views.random_streams import derive
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection


@dataclass(frozen=True)
class Draws:
    """The draws from one source, each a pure function of labels and ``section.seed``.

    Attributes:
        section: The source.
        problem: What is predicted.
        sparse: Whether a class may have no sample; else such a class is refused.
    """

    section: DataSection
    problem: Problem
    sparse: bool = False

    def test(self, pool: Split, own: Split | None) -> tuple[Split, Split]:
        """What is left of the training data, and the test: ``own``, or what is set aside."""
        if own is not None:
            return pool, own
        return self._set_aside(pool, self.section.test, self._seed("test"), keep=2)

    def validation(self, pool: Split, own: Split | None) -> tuple[Split, Split]:
        """The training and the validation data, of which ``limit`` keeps some."""
        if own is not None:
            return self._limit_both(pool, own)
        share = self.section.validation
        return self._set_aside(self.limited(pool), share, self._seed("validation"))

    def limited(self, pool: Split) -> Split:
        """At most ``limit`` samples, where there is one."""
        if self.section.limit is None:
            return pool
        return self._limited(pool, self.section.limit, self._seed("limit"))

    def _seed(self, name: str) -> int:
        return derive(self.section.seed, name)

    def _strata(self, pool: Split, able: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The class of each sample that has a target, and the classes to draw from."""
        labels, classes = strata(pool, self.problem)
        return present(labels[able], classes) if self.sparse else (labels[able], classes)

    def _set_aside(
        self, pool: Split, share: float, seed: int, keep: int = 1
    ) -> tuple[Split, Split]:
        """What is left, and the share of the samples with a target that is set aside."""
        able, without = by_target(pool, self.problem)
        labels, classes = self._strata(pool, able)
        left, drawn = draw_share(labels, share, seed, classes, keep=keep)
        return pool.take(torch.cat([able[left], without]).sort().values), pool.take(able[drawn])

    def _limited(self, pool: Split, limit: int, seed: int) -> Split:
        """At most ``limit`` samples, of those with and without a target the same share."""
        able, without = by_target(pool, self.problem)
        labels, classes = self._strata(pool, able)
        most = max(round(limit * len(able) / len(pool)), min(limit, 2 * len(classes)))
        kept = able[draw_limit(labels, most, seed, classes)] if len(able) else able
        others = draw_any(len(without), limit - len(kept), derive(seed, "without a target"))
        return pool.take(torch.cat([kept, without[others]]).sort().values)

    def _limit_both(self, train: Split, validation: Split) -> tuple[Split, Split]:
        """Training and validation data of the source's own, at most ``limit`` of them together."""
        limit = self.section.limit
        if limit is None:
            return train, validation
        share = len(train) / (len(train) + len(validation))
        named = ((train, "limit", share), (validation, "limit validation", 1 - share))
        kept = []
        for split, name, part in named:
            _, classes = self._strata(split, by_target(split, self.problem)[0])
            most = max(round(limit * part), 2 * len(classes))
            kept.append(self._limited(split, most, self._seed(name)))
        return kept[0], kept[1]


def by_target(split: Split, problem: Problem) -> tuple[Tensor, Tensor]:
    """Places of the samples that have some target, and of those that have none, ascending."""
    known = problem.known(split.targets)
    return known.nonzero().flatten(), (~known).nonzero().flatten()
