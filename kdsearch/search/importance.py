"""How much each searched parameter matters for each objective, by Optuna's PED-ANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from kdsearch.data import derive
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.space.space import Space

TOP = 0.25
"""Share of the trials, the best by an objective, whose values are compared with all."""

MIN_TRIALS = 20
"""Complete trials that must have a parameter: five of them are then the best."""

SHUFFLES = 19
"""Orders of the same scores by chance: what is above all of them is so by chance once in 20."""

COLUMNS = ("parameter", "objective", "trials", "importance", "chance", "clear")


def importance_table(study: Study) -> pd.DataFrame:
    """One row a searched parameter and objective, the most important first.

    The importance tells how far the best quarter of the trials by one objective lie in another part
    of the parameter's range than all trials do: the Pearson divergence of the two densities, times
    the square of that quarter (Watanabe, Bansal & Hutter 2023, "PED-ANOVA: Efficiently Quantifying
    Hyperparameter Importance in Arbitrary Subspaces", as Optuna computes it). It is 0 where they
    lie alike; figures of one objective may be compared with each other.

    A parameter that only some trials have, such as one of a method, is judged among these.
    ``trials`` tells how many complete ones there are, and of fewer than :data:`MIN_TRIALS` nothing
    is told. ``chance`` is the largest of :data:`SHUFFLES` importances with the scores dealt out
    anew at random; ``clear`` tells that the importance is above it.

    Returns:
        The columns of :data:`COLUMNS`. The objectives are named as in the spec: the metrics, and
        the sizes.
    """
    with _quiet():
        return _table(study)


def _table(study: Study) -> pd.DataFrame:
    objectives = study.objectives
    complete = [each for each in study.records() if each.complete and each.compares_settings]
    distributions = _distributions(Space(study.spec), complete)
    names = (objectives.score, *objectives.sizes, *objectives.more)
    costs = objectives.costs(complete)
    rows = [
        row
        for trials, parameters in _sharing(complete, distributions).items()
        for row in _judge(
            _Judged(
                [complete[place].parameters for place in trials],
                {name: distributions[name] for name in parameters},
            ),
            dict(zip(names, costs[list(trials)].T, strict=True)),
            study.spec.study.seed,
        )
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return (
        table.assign(order=table["objective"].map(names.index))
        .sort_values(
            ["order", "importance", "parameter"],
            ascending=[True, False, True],
            na_position="last",
            ignore_index=True,
        )
        .drop(columns="order")
    )


def _judge(judged: _Judged, losses: Mapping[str, np.ndarray], seed: int) -> list[dict[str, Any]]:
    """Rows of the parameters that the same trials have, by the losses [N] of each objective."""
    rows: list[dict[str, Any]] = []
    for objective, own in losses.items():
        told = {"objective": objective, "trials": len(own)}
        if len(own) < MIN_TRIALS:
            nothing = {"importance": np.nan, "chance": np.nan, "clear": False}
            rows += [{"parameter": name} | told | nothing for name in judged.parameters]
            continue
        found = judged.importances(own)
        draws = np.random.default_rng(derive(seed, "importance", objective))
        dealt = [judged.importances(draws.permutation(own)) for _ in range(SHUFFLES)]
        for name, value in found.items():
            chance = max(each[name] for each in dealt)
            figures = {"importance": value, "chance": chance, "clear": value > chance}
            rows.append({"parameter": name} | told | figures)
    return rows


class _Judged:
    """Trials that have the same parameters, as Optuna's study.

    Args:
        trials: The parameters of each.
        distributions: What those that are judged were drawn from.
    """

    def __init__(
        self, trials: Sequence[Mapping[str, Any]], distributions: Mapping[str, BaseDistribution]
    ) -> None:
        self.parameters = list(distributions)
        self._evaluator = PedAnovaImportanceEvaluator(target_quantile=TOP)
        self._study = optuna.create_study()
        if len(trials) >= MIN_TRIALS:
            self._study.add_trials(
                create_trial(
                    value=0.0,  # the losses are given with each question
                    params={name: own[name] for name in distributions},
                    distributions=dict(distributions),
                )
                for own in trials
            )

    def importances(self, losses: np.ndarray) -> dict[str, float]:
        """The importance of each parameter for a small loss [N]."""
        return get_param_importances(
            self._study,
            evaluator=self._evaluator,
            target=lambda trial: float(losses[trial.number]),
            normalize=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line for each study, and its words on losses and plain figures."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _sharing(
    complete: Sequence[TrialRecord], distributions: Mapping[str, BaseDistribution]
) -> dict[tuple[int, ...], list[str]]:
    """The parameters that are searched, by the places of the trials that have them."""
    sharing: dict[tuple[int, ...], list[str]] = {}
    for name in distributions:
        trials = tuple(place for place, each in enumerate(complete) if name in each.parameters)
        sharing.setdefault(trials, []).append(name)
    return sharing


def _distributions(space: Space, complete: Sequence[TrialRecord]) -> dict[str, BaseDistribution]:
    """What each parameter that some trial has was drawn from, if it could be more than one value.

    A choice that was open to some pairs of teacher and student alone is between those seen.
    """
    known: dict[str, BaseDistribution] = {}
    for label in space.methods:
        for student in space.students:
            space.suggest(_Walk((label, student), known))
    seen: dict[str, dict[Any, None]] = {}
    for record in complete:
        for name, value in record.parameters.items():
            seen.setdefault(name, {})[value] = None
    drawn = {
        name: known.get(name) or CategoricalDistribution(list(values))
        for name, values in seen.items()
    }
    return {name: each for name, each in drawn.items() if not each.single()}


class _Walk:
    """Draws one method and one student, and the least of everything else; keeps what it could be.

    Args:
        chosen: The method's label and the student's key.
        found: Takes each distribution by the parameter's name.
    """

    def __init__(self, chosen: Collection[str], found: dict[str, BaseDistribution]) -> None:
        self._chosen, self._found = chosen, found

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self._found[name] = FloatDistribution(low, high, log=log, step=step)
        return low

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        self._found[name] = IntDistribution(low, high, log=log, step=step)
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self._found[name] = CategoricalDistribution(choices)
        return next((each for each in choices if each in self._chosen), choices[0])
