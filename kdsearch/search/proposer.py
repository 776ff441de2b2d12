"""Optuna's proposals by their place in the order, and what Optuna is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler
from optuna.trial import TrialState

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.optuna_study import STATES, constraints, make_optuna_study, values
from kdsearch.search.samplers import make_sampler
from kdsearch.space.architectures import Architectures
from kdsearch.space.space import Space
from kdsearch.space.usable import Usable
from kdsearch.training.recipe import Recipe

REJECTIONS = 500
"""Proposals outside the size limits in a row after which the space is taken to hold no other."""

PUBLISHED_TRIES = 20
"""So often one of the first trials is proposed anew before the sampler chooses freely: a method
whose students all exceed the size limits must not end the study."""


class Proposer:
    """Proposes trials by an Optuna sampler; those of before a resume are known.

    Optuna's study lives in memory and is what the trials and the order of calls make it: the
    sampler is seeded afresh for each proposal from the study's seed and the trial's place, and what
    it drew on the way leaves no trace. So a search that was cut off and makes the same calls again
    is proposed the same, and known trials cost no sampling.

    Args:
        past: Parameters that earlier studies found good, to be tried before the published ones.
        known: Trials that were proposed before, by place.
        check: Raises where what students begin with has changed; called before each proposal.

    Attributes:
        study: The Optuna study. A trial that waits at a rung runs, for Optuna: TPE takes it for one
            that is not to be resembled.
    """

    def __init__(
        self,
        space: Space,
        architectures: Architectures,
        past: Sequence[Mapping[str, Any]] = (),
        known: Mapping[int, TrialRecord] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._space, self._spec = space, space.spec
        self._objectives = Objectives.of(self._spec)
        self._usable = Usable(self._spec, architectures)
        self._first = [*map(dict, past), *(space.published(label) for label in space.methods)]
        self._known = known or {}
        self._check = check
        self._trials: dict[int, optuna.Trial] = {}
        self.study = make_optuna_study(self._objectives)

    def record(self, place: int) -> TrialRecord:
        """The trial at a place in the order, before its first epoch; to be asked for once.

        Raises:
            StudyError: The space seems to hold no student within the size limits, or lacks the
                parameters of a known trial.
        """
        record = self._known.get(place) or self._propose(place)
        self._trials[place] = self._enter(place, record.parameters)
        return record.model_copy(update={"status": "running", "epochs": (), "reason": None})

    def tell(self, place: int, outcome: TrialRecord) -> None:
        """Tell Optuna what became of a trial; once."""
        trial = self._trials[place]
        for name, value in constraints(outcome, self._objectives).items():
            trial.set_constraint(name, value)
        self.study.tell(trial, values(outcome, self._objectives), STATES[outcome.status])

    def _propose(self, place: int) -> TrialRecord:
        self._check()
        for attempt in range(REJECTIONS):
            given = self._given(place, attempt) if attempt < PUBLISHED_TRIES else None
            if given is not None:
                self.study.enqueue_trial(dict(given))
            recipe, trial, parameters = self._ask(place, attempt)
            self.study.tell(trial, state=TrialState.FAIL)  # no sampler learns from it
            record = self._usable.trial(recipe, place, parameters)
            if record is not None:
                return record
        raise StudyError(
            f"{REJECTIONS} proposals in a row were outside the size limits or could not work; "
            "raise search.max_parameters, max_macs, max_bytes or max_latency, or search other "
            "widths and depths"
        )

    def _given(self, place: int, attempt: int) -> Mapping[str, Any] | None:
        """The values of a trial that the sampler does not choose."""
        if place < len(self._first):
            return self._first[place]
        random = np.random.default_rng(derive(self._spec.study.seed, "prior", place, attempt))
        return self._space.near(place - len(self._first), self._first, random)

    def _enter(self, place: int, parameters: dict[str, Any]) -> optuna.Trial:
        """Make a trial known to Optuna."""
        self.study.enqueue_trial(parameters)
        _, trial, drawn = self._ask(place, 0)
        if drawn != parameters:
            raise StudyError(
                f"trial {place} has other parameters than the spec searches; go on with the spec "
                "and the version of kdsearch that proposed it"
            )
        sampler = self.study.sampler
        if isinstance(sampler, NSGAIISampler):  # of a trial with given parameters it sets none
            frozen = self.study.get_trials(deepcopy=False)[trial.number]
            sampler.get_parent_population(
                self.study, sampler.get_trial_generation(self.study, frozen)
            )
        return trial

    def _ask(self, place: int, attempt: int) -> tuple[Recipe, optuna.Trial, dict[str, Any]]:
        seed = derive(self._spec.study.seed, "sampler", place, attempt)
        search = self._spec.search
        self.study.sampler = make_sampler(search.sampler, seed, search.scheduler.name != "none")
        trial = self.study.ask()
        drawing = self._space.drawing(trial)
        return self._space.suggest(drawing), trial, drawing.params
