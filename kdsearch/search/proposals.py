"""Proposals by Optuna, told of outcomes in a fixed order so that a study can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import optuna
from optuna.trial import FixedTrial, TrialState

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.search.blueprints import Blueprints
from kdsearch.search.budget import Budget, Room
from kdsearch.search.fitting import Pairs
from kdsearch.search.halving import Halving
from kdsearch.search.jobs import Jobs, NoMoreJobs
from kdsearch.search.objectives import Objectives
from kdsearch.search.optuna_study import tell_outcome
from kdsearch.search.record import TrialRecord
from kdsearch.search.samplers import Samplers
from kdsearch.search.sizing import sized_record, within_limits
from kdsearch.search.space import Candidate, Space

REJECTIONS = 500
"""Proposals outside the size limits in a row after which the space is taken to hold no other."""


PUBLISHED_TRIES = 20
"""So often one of the first trials is proposed anew before the sampler chooses freely: a method
whose students all exceed the size limits must not end the study."""


_PLACE = "place"
"""Attribute of an Optuna trial that was handed out: its place in the order of proposals."""


class ProposedJobs(Jobs):
    """Trials proposed by an Optuna sampler.

    Optuna hears of outcomes in the order of the proposals: when it proposes the k-th trial, it
    knows exactly the outcomes of the trials up to k - ``lag``. Which trial happens to end first
    then changes nothing, and the same spec and seed propose the same trials at any speed. The price
    is that a trial may wait for one that was proposed ``lag`` places before it.

    The sampler is seeded afresh for each proposal from the study's seed and the trial's place, so
    that a study that was cut off goes on exactly as it would have.

    Args:
        space: What may be proposed.
        study: The Optuna study; its storage keeps what was proposed.
        blueprints: Tells the sizes of the students.
        finished: Outcomes from before, by place in the order.
        budget: What may be spent; absent: as the spec says, from now on.
        past: Parameters that earlier studies found good, to be tried after the published ones.

    Attributes:
        lag: How many places before a trial the last lies whose outcome was known.
        spent: Why no more are proposed, in words, where not all trials were.
    """

    def __init__(
        self,
        space: Space,
        study: optuna.Study,
        blueprints: Blueprints,
        finished: Mapping[int, TrialRecord],
        budget: Budget | None = None,
        past: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._space = space
        self._spec = space.spec
        self._study = study
        self._objectives = Objectives.of(self._spec.search)
        self._samplers = Samplers(self._spec.search.sampler)
        self._blueprints = blueprints
        self._pairs = Pairs(self._spec, blueprints)
        self._budget = budget or Budget(self._spec)
        self._first = [*(space.published(label) for label in space.methods), *map(dict, past)]
        self._outcomes = dict(finished)
        self._halving = Halving(self._spec.search)
        for record in finished.values():
            self._halving.take_in(record)
            self._budget.take_in(record)
        self.spent: str | None = None
        self._order: list[int] = []
        self._told = 0
        self.lag = 2 * self._spec.resources.concurrent
        self._again = self._take_up()

    def _take_up(self) -> list[TrialRecord]:
        """Read what was proposed before; trials without an outcome are handed out again.

        A trial that was cut off in the middle of its proposal is given up: the next one, seeded by
        the same place in the order, is what it would have been.
        """
        again = []
        for trial in self._study.get_trials(deepcopy=False):
            if _PLACE not in trial.user_attrs:
                if trial.state == TrialState.RUNNING:
                    self._study.tell(trial.number, state=TrialState.FAIL)
                continue
            place = len(self._order)
            self._order.append(trial.number)
            if trial.state != TrialState.RUNNING:
                self._told = len(self._order)
            elif place not in self._outcomes:
                candidate = self._space.suggest(FixedTrial(trial.params))
                again.append(self._record(place, candidate, trial.params))
        return again

    def next(self) -> TrialRecord | None:
        if self._again:
            return self._again.pop(0)
        place = len(self._order)
        if place >= self._spec.search.trials:
            self._end()
        self.spent = self._budget.out_of_time()
        if self.spent is not None:
            self._end()
        if not self._tell(place - self.lag + 1):
            return None
        match self._budget.room(place, place - self.lag + 1, self._outcomes):
            case Room.UNKNOWN:
                return None
            case Room.NONE:
                limit = self._spec.search.max_epochs
                self.spent = f"search.max_epochs ({limit}) leave no room for another trial"
                self._end()
        return self._propose()

    def _end(self) -> NoReturn:
        self._tell(len(self._order))
        raise NoMoreJobs

    def averaged_after(self, record: TrialRecord) -> Sequence[int]:
        return self._halving.averaged_after(record.task)

    def goes_on(self, record: TrialRecord) -> bool:
        """Compare a trial at a rung with those whose outcomes were known when it was proposed.

        Others may have reached the rung by now, but which of them depends on how fast each was.
        """
        return self._halving.goes_on(record, record.number - self.lag)

    def ended(self, record: TrialRecord) -> None:
        self._outcomes[record.number] = record
        self._halving.take_in(record)
        self._budget.take_in(record)

    def tell_all(self) -> None:
        """Tell Optuna every outcome that is there, in order."""
        self._tell(len(self._order))

    def _tell(self, count: int) -> bool:
        """Tell the first ``count`` outcomes; whether all of them were there to be told."""
        while self._told < count:
            outcome = self._outcomes.get(self._told)
            if outcome is None:
                return False
            tell_outcome(self._study, self._order[self._told], outcome, self._objectives)
            self._told += 1
        return True

    def _propose(self) -> TrialRecord:
        place = len(self._order)
        for attempt in range(REJECTIONS):
            trial = self._ask(place, attempt)
            candidate = self._space.suggest(trial)
            record = self._record(place, candidate, trial.params)
            if within_limits(record, self._spec.search) and works(candidate, self._pairs):
                trial.set_user_attr(_PLACE, place)
                self._order.append(trial.number)
                return record
            self._study.tell(trial.number, state=TrialState.FAIL)
        raise StudyError(
            f"{REJECTIONS} proposals in a row were outside the size limits or could not work; "
            "raise search.max_parameters, max_macs, max_bytes or max_latency, or search other "
            "widths and depths"
        )

    def _ask(self, place: int, attempt: int) -> optuna.Trial:
        """A new trial; the first ones start from values that are known to be good."""
        if place < len(self._first) and attempt < PUBLISHED_TRIES and not self._waiting():
            self._study.enqueue_trial(self._first[place])
        seed = derive(self._spec.study.seed, "sampler", place, attempt)
        self._study.sampler = self._samplers.make(seed)
        return self._study.ask()

    def _waiting(self) -> bool:
        """Whether a first trial was put in line when the study was cut off."""
        return bool(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def _record(self, number: int, candidate: Candidate, parameters: dict) -> TrialRecord:
        task = candidate.task(self._spec, 0)
        search = self._spec.search
        return sized_record(self._blueprints, search, number, "search", task, dict(parameters))


def works(candidate: Candidate, pairs: Pairs) -> bool:
    """Whether a candidate's method works on its very pair of teacher and student."""
    if candidate.teacher is None:
        return True
    return not pairs.reason(candidate.method, candidate.teacher, candidate.model)
