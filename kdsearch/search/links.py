"""Students cut from their wider neighbours, in chains that go on while they add to the front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import moocore
import numpy as np

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget
from kdsearch.search.ordered import CostOf, OrderedJobs, after
from kdsearch.search.strand import Step, Strand
from kdsearch.space.anchored import is_chainable
from kdsearch.space.chains import Chain, shortened
from kdsearch.space.given import Given
from kdsearch.space.space import Space
from kdsearch.space.usable import Usable
from kdsearch.spec.study import StudySpec
from kdsearch.training.lineage import parent_of
from kdsearch.training.programs import total_epochs
from kdsearch.training.recipe import Recipe


class LinkedJobs(OrderedJobs):
    """Hands out students of chains with the settings that :meth:`learn` was told of.

    A student is trained in full or, where it can be, cut from a wider one and trained for
    ``search.ladder.link`` of the epochs. Of all that could be next that one comes first from which
    on an epoch is expected to add most to the hypervolume of the front (:meth:`Strand.expected`),
    and none that is expected to add nothing. The second-best settings come where the best leave
    nothing to be begun, and so on.

    Args:
        spec: The study.
        chains: The chains of sizes.
        space: The study's.
        usable: Makes trials of recipes.
        known: Trials of the chains from before, by number, which they keep.
        finished: Those of them that count.
        budget: What may be spent.
        number: Gives each new trial its number.
        cost_of: What so many epochs of a trial cost, for the clock.
        deterministic: Whether the order is the same at any speed.
    """

    def __init__(
        self,
        spec: StudySpec,
        chains: Sequence[Chain],
        space: Space,
        usable: Usable,
        known: Mapping[int, TrialRecord],
        finished: Mapping[int, TrialRecord],
        budget: Budget,
        number: Iterator[int],
        cost_of: CostOf = lambda _, epochs: epochs,
        deterministic: bool = True,
    ) -> None:
        super().__init__(spec, finished.values(), budget, cost_of, deterministic)
        self._goes_on = not deterministic
        if self._goes_on:
            self._budget.hand_out(sum(len(each.epochs) for each in finished.values()))
        self._spec, self._chains, self._space, self._usable = spec, chains, space, usable
        self._objectives = Objectives.of(spec)
        self._link = spec.search.ladder.shortened(spec.training.epochs)
        self._by_task = {each.task.key: each.number for each in known.values()}
        self._number = number
        self._settings: list[TrialRecord] = []
        self._by_entry: dict[str, list[TrialRecord]] = {}
        self._strands: dict[tuple[Chain, int], Strand] = {}
        self._of: dict[int, tuple[Strand, Step]] = {}

    def learn(self, settings: Iterable[TrialRecord]) -> None:
        """Take in all trials of the settings, when no training is on its way."""
        tried = [each for each in settings if each.epochs and each.status != "failed"]
        best: dict[str, TrialRecord] = {}
        for each in sorted(tried, key=self._rank):
            best.setdefault(each.task.key, each)
        self._settings = list(best.values())
        self._by_entry = {}
        for each in self._settings:
            entry = self._space.entry(Given(each.parameters))
            self._by_entry.setdefault(entry, []).append(each)

    def keeps(self, record: TrialRecord) -> bool:
        return record.number in self._of

    def _pick(self) -> TrialRecord | None:
        front = self._objectives.costs(self._objectives.counted([*self._settings, *self.counted]))
        for wave in self._waves():
            found = [
                (self._worth(strand, step, front), strand, step)
                for strand in wave
                for step in strand.steps()
                if strand.epochs(step) <= self._budget.room
            ]
            worth, strand, step = max(found, key=lambda each: each[0], default=(0.0, None, None))
            if strand is not None and step is not None and worth > 0:
                return self._begun(strand, step)
            if any(strand.running for strand in wave):
                return None  # the next settings come when these are through
        return None

    def _waves(self) -> Iterator[list[Strand]]:
        """The strands of each entry's best settings, then those of the second best, and so on.

        Where students with such settings cannot be cut, the next best that can be come along.
        """
        for rank in range(max(map(len, self._by_entry.values()), default=0)):
            yield [
                self._strand(chain, settings)
                for chain in self._chains
                for settings in self._at(rank, chain)
            ]

    def _at(self, rank: int, chain: Chain) -> Iterator[TrialRecord]:
        """The settings of a rank for a chain, and the next best that can be cut."""
        own = self._by_entry.get(chain.student, [])[rank:]
        yield from own[:1]
        if chain.cut and own and not is_chainable(own[0].task):
            yield from islice((each for each in own if is_chainable(each.task)), 1)

    def _strand(self, chain: Chain, settings: TrialRecord) -> Strand:
        of = chain, settings.number
        if of not in self._strands:
            places = range(len(chain.widths))
            students = [self._sized(chain, settings, place) for place in places]
            cuts = chain.cut and is_chainable(settings.task)
            self._strands[of] = Strand(chain, students, self._link if cuts else None)
        return self._strands[of]

    def _sized(self, chain: Chain, settings: TrialRecord, place: int) -> TrialRecord | None:
        """A student of a chain, trained in full; ``None`` where it is outside the limits."""
        given = Given(settings.parameters | chain.parameters(place))
        return self._usable.trial(self._space.suggest(given), 0, given.params)

    def _worth(self, strand: Strand, step: Step, front: np.ndarray) -> float:
        """The hypervolume that an epoch from a step on is expected to add."""
        if not strand.done:
            return math.inf
        wider = [place for place in strand.done if place < step.place]
        if wider and not self._objectives.suffices(strand.done[max(wider)].scores):
            return 0.0  # what is smaller is not expected to be better
        path = strand.path(step)
        expected = strand.expected(path, self._objectives)
        points = np.concatenate([front, expected])
        low, high = points.min(axis=0), points.max(axis=0)
        scaled = (points - low) / np.where(high > low, high - low, 1.0)
        end = [1.1] * scaled.shape[1]  # so that the ends of a front have some volume
        before = moocore.hypervolume(scaled[: len(front)], ref=end) if len(front) else 0.0
        best, epochs = 0.0, 0
        for count, place in enumerate(path, start=1):
            epochs += strand.epochs(step if count == 1 else Step(step.place, place))
            added = moocore.hypervolume(scaled[: len(front) + count], ref=end) - before
            best = max(best, float(added) / epochs)
        return best if best > 1e-12 else 0.0

    def _begun(self, strand: Strand, step: Step) -> TrialRecord:
        """The training of a step, which is handed out."""
        record = strand.student(step.place)
        update: dict[str, object] = {"ladder": "heads"}
        if step.parent is not None:
            section = self._space.students[strand.chain.student]
            task = record.task.model_copy(
                update={
                    "model": record.task.model.model_copy(
                        update={"importance": section.importance[0]}
                    ),
                    "training": shortened(Recipe.of(record.task), self._spec).training,
                    "parent": parent_of(strand.done[step.parent].task),
                }
            )
            update = {"ladder": "links", "task": task}
        record = record.model_copy(update=update)
        key = record.task.key
        if key not in self._by_task:
            self._by_task[key] = next(self._number)
        record = record.model_copy(update={"number": self._by_task[key]})
        strand.running.add(step.place)
        self._of[record.number] = strand, step
        known = self._outcomes.get(record.number)
        if self._goes_on and known is not None:  # whose epochs are counted from the start
            return after(known, len(known.epochs))
        return record

    def _learn(self, record: TrialRecord) -> None:
        outcome, (strand, step) = self._outcomes[record.number], self._of[record.number]
        strand.running.remove(step.place)
        if outcome.complete:
            strand.done[step.place] = outcome
        else:
            strand.failed.add(step.place)

    def _end_of_stage(self, record: TrialRecord) -> int:
        return total_epochs(record.task)

    def _rank(self, record: TrialRecord) -> tuple[float, bool, float, int]:
        """By which settings are sorted: those first that came furthest, then the best."""
        progress, scores = len(record.epochs) / total_epochs(record.task), record.epochs[-1]
        short = not self._objectives.suffices(scores)
        return -progress, short, self._objectives.loss(scores), record.number
