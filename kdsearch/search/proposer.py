"""Optuna's proposals by their place in the order, and what Optuna is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FixedTrial, TrialState

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.optuna_study import tell_outcome
from kdsearch.search.samplers import STARTUP, Samplers
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs
from kdsearch.space.sizes import sized_record, within_limits
from kdsearch.space.space import Space
from kdsearch.training.candidate import Candidate

REJECTIONS = 500
"""Proposals outside the size limits in a row after which the space is taken to hold no other."""


PUBLISHED_TRIES = 20
"""So often one of the first trials is proposed anew before the sampler chooses freely: a method
whose students all exceed the size limits must not end the study."""


HALVED_STARTUP = 4
"""Trials before TPE learns from them, where a scheduler lets few come to their end."""

_PLACE = "place"
"""Attribute of an Optuna trial that was handed out: its place in the order of proposals."""


class Proposer:
    """Proposes trials by an Optuna sampler, each once; those of before a resume are known.

    The sampler is seeded afresh for each proposal from the study's seed and the trial's place, so
    that a study that was cut off goes on exactly as it would have.

    Args:
        space: What may be proposed.
        study: The Optuna study; its storage keeps what was proposed.
        blueprints: Tells the sizes of the students.
        past: Parameters that earlier studies found good, to be tried before the published ones.
    """

    def __init__(
        self,
        space: Space,
        study: optuna.Study,
        blueprints: Architectures,
        past: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._space, self._spec = space, space.spec
        self._study = study
        self._objectives = Objectives.of(self._spec.search)
        halves = self._spec.search.scheduler.name != "none"
        startup = HALVED_STARTUP if halves else STARTUP
        self._samplers = Samplers(self._spec.search.sampler, startup)
        self._blueprints = blueprints
        self._pairs = Pairs(self._spec, blueprints)
        self._first = [*map(dict, past), *(space.published(label) for label in space.methods)]
        self._trials: list[int] = []
        self._told: set[int] = set()
        self._take_up()

    def _take_up(self) -> None:
        """Read what was proposed before.

        A trial that was cut off in the middle of its proposal is given up: the next one, seeded by
        the same place in the order, is what it would have been.
        """
        for trial in self._study.get_trials(deepcopy=False):
            running = trial.state == TrialState.RUNNING
            if _PLACE in trial.user_attrs:
                if not running:
                    self._told.add(len(self._trials))
                self._trials.append(trial.number)
            elif running:
                self._study.tell(trial.number, state=TrialState.FAIL)

    @property
    def count(self) -> int:
        """Trials that were proposed."""
        return len(self._trials)

    def record(self, place: int) -> TrialRecord:
        """The trial at a place in the order: proposed now, or before.

        Raises:
            StudyError: The space seems to hold no student within the size limits.
        """
        if place == len(self._trials):
            return self._propose(place)
        params = self._study.get_trials(deepcopy=False)[self._trials[place]].params
        return self._record(place, self._space.suggest(FixedTrial(params)), params)

    def tell(self, place: int, outcome: TrialRecord) -> None:
        """Tell Optuna what became of a trial, unless it knows."""
        if place not in self._told:
            self._told.add(place)
            tell_outcome(self._study, self._trials[place], outcome, self._objectives)

    def save_training(self, place: int) -> None:
        """Note that a trial waits at a rung: it is no example for the sampler."""
        self._samplers.save_training(self._trials[place])

    def _propose(self, place: int) -> TrialRecord:
        for attempt in range(REJECTIONS):
            trial = self._ask(place, attempt)
            candidate = self._space.suggest(trial)
            record = self._record(place, candidate, trial.params)
            if within_limits(record, self._spec.search) and works(candidate, self._pairs):
                trial.set_user_attr(_PLACE, place)
                self._trials.append(trial.number)
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
