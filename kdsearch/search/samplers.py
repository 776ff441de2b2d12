"""Optuna's samplers as a search uses them: one afresh for each proposal, at a cost that stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.samplers._tpe.sampler import (
    _split_complete_trials,
    _split_trials,
    default_gamma_multiobjective,
)
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.trial import FrozenTrial, TrialState

Distributions = Mapping[str, BaseDistribution]
"""Parameters by name."""

Split = tuple[list[FrozenTrial], list[FrozenTrial]]
"""Trials that a proposal is to resemble, and the others, each by number."""

STARTUP = 10
"""Trials before TPE learns from them, Optuna's own number."""

_KNOWN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""States of trials from which something is learned."""


class Samplers:
    """Makes the sampler of each proposal; what they learn of ended trials is kept between them.

    ``tpe`` is the multi-objective tree-structured Parzen estimator (Ozaki et al. 2022), with the
    parameters of one method modelled jointly; ``nsga2`` is NSGA-II (Deb et al. 2002); ``gp`` has
    Gaussian processes over the parameters that all trials have, and draws the others at random.

    Args:
        name: ``tpe``, ``nsga2``, ``gp`` or ``random``.
        startup: After how many ended trials TPE begins to learn.
    """

    def __init__(self, name: str, startup: int = STARTUP) -> None:
        self._name, self._startup = name, startup
        self._history = History()

    def save_training(self, number: int) -> None:
        """Note that a trial, by Optuna's number, waits at a rung and may go on or not.

        Optuna has no such state: for it the trial runs, and is no example to follow.
        """
        self._history.aside.add(number)

    def make(self, seed: int) -> BaseSampler:
        """A sampler for one proposal, which draws by this seed alone."""
        if self._name == "tpe":
            return RememberingTPESampler(seed, self._history, self._startup)
        if self._name == "nsga2":
            return NSGAIISampler(seed=seed, population_size=20)
        if self._name == "gp":
            return GPSampler(seed=seed, warn_independent_sampling=False)
        return RandomSampler(seed=seed)


class RememberingTPESampler(TPESampler):
    """Proposes exactly what Optuna's ``TPESampler(seed=…, multivariate=True, group=True)`` does.

    That one finds the groups of parameters among all trials for each proposal, and for each group
    divides and reads all trials anew, so that a proposal after 1,000 trials costs several times one
    after 100. Here groups and values come from a history that lives on, and the trials are divided
    once. Trials that wait at a rung, which Optuna does not know, are among those that are not to be
    resembled.

    Args:
        seed: Of its random numbers.
        history: Shared by the samplers of one study.
        startup: So many trials must have ended before anything is learned from them.
    """

    def __init__(self, seed: int, history: History, startup: int = STARTUP) -> None:
        super().__init__(seed=seed, multivariate=True, group=True, n_startup_trials=startup)
        self._history = history
        self._sides: tuple[_Side, _Side] | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        told = study._get_trials(deepcopy=False, states=_KNOWN, use_cache=False)
        self._search_space_group = self._history.take_in(told)
        return {
            name: each
            for space in self._search_space_group.search_spaces
            for name, each in sorted(space.items())
            if not each.single()
        }

    def _sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, object]:
        """Values of one group; none, as in a random search, while too few trials were told."""
        if not search_space or self._history.count < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, object]:
        self._sides = self._sides or self._divide(study, trial)
        good, other = (
            self._build_parzen_estimator(study, search_space, side, handle_below=side.good)
            for side in self._sides
        )
        samples = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(samples, self._compute_acquisition_func(samples, good, other))
        return {name: each.to_external_repr(best[name]) for name, each in search_space.items()}

    def _divide(self, study: Study, trial: FrozenTrial) -> tuple[_Side, _Side]:
        """The trials that the proposal is to resemble, and the others."""
        trials = study._get_trials(deepcopy=False, states=_KNOWN, use_cache=False)
        trials = [each for each in trials if each.number != trial.number]
        ended = sum(each.state != TrialState.RUNNING for each in trials)
        split = _split_plain if self._history.plain else _split_trials
        below, above = split(study, trials, default_gamma_multiobjective(ended))
        return _Side(below, self._history, good=True), _Side(above, self._history, good=False)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        assert isinstance(trials, _Side)
        numbers, rows = self._history.values(search_space, trials.known)
        for each in trials.running:
            values = internal_values(self._get_params(each, study), search_space)
            if values is not None:
                place = int(np.searchsorted(numbers, each.number))
                numbers = np.insert(numbers, place, each.number)
                rows = np.insert(rows, place, values, axis=0)
        return {name: rows[:, place] for place, name in enumerate(search_space)}


def _split_plain(study: Study, trials: list[FrozenTrial], count: int) -> Split:
    """Optuna's split of trials without constraints: those that were stopped are no examples."""
    complete = [each for each in trials if each.state == TrialState.COMPLETE]
    if len(complete) < count:
        return _split_trials(study, trials, count)
    below, above = _split_complete_trials(complete, study, count)
    others = [each for each in trials if each.state != TrialState.COMPLETE]
    return below, sorted([*above, *others], key=lambda each: each.number)


class _Side(list[FrozenTrial]):
    """Some of the trials, by number.

    Args:
        trials: The trials.
        history: What is known.
        good: Whether they are those that a proposal is to resemble.

    Attributes:
        known: [N] numbers of those whose values the history has.
        running: The others.
    """

    def __init__(self, trials: Iterable[FrozenTrial], history: History, good: bool) -> None:
        super().__init__(trials)
        self.good = good
        self.running = [each for each in self if not history.knows(each)]
        self.known = np.array([each.number for each in self if history.knows(each)], int)


class History:
    """What Optuna's TPE finds out of the trials that have ended or wait at a rung, for one study.

    Their parameters do not change, so only those that are new since the last proposal are taken in.

    Attributes:
        plain: Whether all are without constraints.
        aside: Numbers of those that were put aside at a rung.
    """

    def __init__(self) -> None:
        self.plain = True
        self.aside: set[int] = set()
        self._ended: set[int] = set()
        self._numbers: set[int] = set()
        self._trials: list[FrozenTrial] = []
        self._groups = _SearchSpaceGroup()
        self._tables: dict[tuple[str, ...], _Table] = {}

    def knows(self, trial: FrozenTrial) -> bool:
        """Whether a trial has ended or was put aside."""
        return trial.state != TrialState.RUNNING or trial.number in self.aside

    def take_in(self, trials: Sequence[FrozenTrial]) -> _SearchSpaceGroup:
        """Take in those of the trials that are known by now; the groups of their parameters."""
        for trial in trials:
            if trial.state != TrialState.RUNNING and trial.number not in self._ended:
                self._ended.add(trial.number)
                self.plain = self.plain and not trial.constraints
            if trial.number not in self._numbers and self.knows(trial):
                self._numbers.add(trial.number)
                self._groups.add_distributions(trial.distributions)
                self._trials.append(trial)
        return self._groups

    @property
    def count(self) -> int:
        """Trials that have ended."""
        return len(self._ended)

    def values(self, space: Distributions, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[N] numbers, and [N, P] values that Optuna models, of the trials with all P parameters.

        Args:
            space: The parameters.
            wanted: Numbers of the trials, in order.
        """
        table = self._tables.setdefault(tuple(space), _Table(len(space)))
        table.extend(self._trials, space)
        return table.of(wanted)


class _Table:
    """The values of some parameters in all known trials that have them.

    Args:
        parameters: How many parameters.
    """

    def __init__(self, parameters: int) -> None:
        self._numbers, self._rows = np.empty(0, int), np.empty((0, parameters))
        self._seen = 0

    def extend(self, trials: Sequence[FrozenTrial], space: Distributions) -> None:
        """Bring it to the trials that are known."""
        new = [
            (trial.number, values)
            for trial in trials[self._seen :]
            if (values := internal_values(trial.params, space)) is not None
        ]
        self._seen = len(trials)
        if new:
            numbers = np.append(self._numbers, [number for number, _ in new])
            rows = np.concatenate([self._rows, [values for _, values in new]])
            order = np.argsort(numbers)
            self._numbers, self._rows = numbers[order], rows[order]

    def of(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and rows of those that are wanted, by number."""
        found = np.isin(self._numbers, wanted, assume_unique=True)
        return self._numbers[found], self._rows[found]


def internal_values(params: Mapping[str, object], space: Distributions) -> list[float] | None:
    """The values of all parameters as Optuna models them; ``None`` if one is absent."""
    if not space.keys() <= params.keys():
        return None
    return [each.to_internal_repr(params[name]) for name, each in space.items()]
