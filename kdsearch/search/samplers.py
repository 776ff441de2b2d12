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

_TOLD = (TrialState.COMPLETE, TrialState.PRUNED)


class Samplers:
    """Makes the sampler of each proposal; what they learn of ended trials is kept between them.

    ``tpe`` is the multi-objective tree-structured Parzen estimator (Ozaki et al. 2022), with the
    parameters of one method modelled jointly; ``nsga2`` is NSGA-II (Deb et al. 2002); ``gp`` has
    Gaussian processes over the parameters that all trials have, and draws the others at random.

    Args:
        name: ``tpe``, ``nsga2``, ``gp`` or ``random``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._history = History()

    def make(self, seed: int) -> BaseSampler:
        """A sampler for one proposal, which draws by this seed alone."""
        if self._name == "tpe":
            return RememberingTPESampler(seed, self._history)
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
    once.

    Args:
        seed: Of its random numbers.
        history: Shared by the samplers of one study.
    """

    def __init__(self, seed: int, history: History) -> None:
        super().__init__(seed=seed, multivariate=True, group=True)
        self._history = history
        self._sides: tuple[_Side, _Side] | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        told = study._get_trials(deepcopy=False, states=_TOLD, use_cache=True)
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
        states = (*_TOLD, TrialState.RUNNING)
        trials = study._get_trials(deepcopy=False, states=states, use_cache=False)
        trials = [each for each in trials if each.number != trial.number]
        ended = sum(each.state != TrialState.RUNNING for each in trials)
        split = _split_plain if self._history.plain else _split_trials
        below, above = split(study, trials, default_gamma_multiobjective(ended))
        return _Side(below, good=True), _Side(above, good=False)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        assert isinstance(trials, _Side)
        known = self._history.values(search_space, trials.ended)
        running = [
            values
            for each in trials.running
            if (values := internal_values(self._get_params(each, study), search_space))
        ]
        rows = np.concatenate([known, running]) if running else known
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
    """Some of the trials, by number; those that run come last, as outcomes are told in order.

    Args:
        trials: The trials.
        good: Whether they are those that a proposal is to resemble.

    Attributes:
        ended: [N] numbers of those that have ended.
        running: The others.
    """

    def __init__(self, trials: Iterable[FrozenTrial], good: bool) -> None:
        super().__init__(trials)
        self.good = good
        self.running = [each for each in self if each.state == TrialState.RUNNING]
        ended = [each.number for each in self if each.state != TrialState.RUNNING]
        self.ended = np.array(ended, int)


class History:
    """What Optuna's TPE finds out of the ended trials, for one study.

    A trial does not change once it was told, and the trials are told in the order of their numbers.
    So only those that were told since the last proposal are taken in.

    Attributes:
        plain: Whether all are without constraints.
    """

    def __init__(self) -> None:
        self.plain = True
        self._told: list[FrozenTrial] = []
        self._groups = _SearchSpaceGroup()
        self._tables: dict[tuple[str, ...], _Table] = {}

    def take_in(self, told: Sequence[FrozenTrial]) -> _SearchSpaceGroup:
        """Take in the trials that were told by now, by number; the groups of their parameters."""
        for trial in told[len(self._told) :]:
            self._groups.add_distributions(trial.distributions)
            self._told.append(trial)
            self.plain = self.plain and not trial.constraints
        return self._groups

    @property
    def count(self) -> int:
        """Trials that were taken in."""
        return len(self._told)

    def values(self, space: Distributions, wanted: np.ndarray) -> np.ndarray:
        """[N, P] values that Optuna models, of those trials that have all P parameters.

        Args:
            space: The parameters.
            wanted: Numbers of the trials.
        """
        table = self._tables.setdefault(tuple(space), _Table(len(space)))
        table.extend(self._told, space)
        return table.rows[np.isin(table.numbers, wanted, assume_unique=True)]


class _Table:
    """The values of some parameters in all ended trials that have them.

    Attributes:
        numbers: [N] numbers of the trials.
        rows: [N, P] their values as Optuna models them.
    """

    def __init__(self, parameters: int) -> None:
        self.numbers, self.rows = np.empty(0, int), np.empty((0, parameters))
        self._seen = 0

    def extend(self, told: Sequence[FrozenTrial], space: Distributions) -> None:
        """Bring it to the trials that were told."""
        for trial in told[self._seen :]:
            values = internal_values(trial.params, space)
            if values is not None:
                self.numbers = np.append(self.numbers, trial.number)
                self.rows = np.concatenate([self.rows, [values]])
        self._seen = len(told)


def internal_values(params: Mapping[str, object], space: Distributions) -> list[float] | None:
    """The values of all parameters as Optuna models them; ``None`` if one is absent."""
    if not space.keys() <= params.keys():
        return None
    return [each.to_internal_repr(params[name]) for name, each in space.items()]
