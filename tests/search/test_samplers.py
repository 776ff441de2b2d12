"""What the samplers remember changes no proposal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from kdsearch.search.samplers import History, RememberingTPESampler, Samplers
from kdsearch.spec import parse_spec
from tests.search.test_loop import drive, first, last, make_jobs, parameters


def optunas_own(_: Samplers, seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True, group=True)


@pytest.mark.parametrize("seed", [3, 4])
def test_loop_are_those_of_optunas_own_sampler(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    spec = parse_spec(spec_text, ["search.trials=45", f"study.seed={seed}"])
    ours = parameters(drive(make_jobs(spec, tmp_path / "ours")[0], 2, last))
    monkeypatch.setattr(Samplers, "make", optunas_own)
    assert ours == parameters(drive(make_jobs(spec, tmp_path / "own")[0], 2, first))


def test_a_history_that_was_cut_off_proposes_as_one_that_was_not(
    spec_text: str, tmp_path: Path
) -> None:
    spec = parse_spec(spec_text, ["search.trials=40"])
    whole = parameters(drive(make_jobs(spec, tmp_path / "whole")[0], 2, first))
    ended = drive(make_jobs(spec, tmp_path / "cut")[0], 2, first, stop_after=27)
    jobs, _ = make_jobs(spec, tmp_path / "cut", {record.number: record for record in ended})
    assert parameters(ended + drive(jobs, 2, first)) == whole


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("constrained", [False, True])
def test_pruned_and_constrained_trials_count_as_they_do_for_optuna(
    pruned: bool, constrained: bool
) -> None:
    def ask_and_tell(sampler: BaseSampler, study: optuna.Study, number: int) -> dict[str, float]:
        study.sampler = sampler
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_int("y", 1, 9)
        if constrained:
            trial.set_constraint("c", x - 0.7)
        if pruned and number % 3 == 1:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [x, y * (1 - x)])
        return trial.params

    history = History()
    ours, own = (optuna.create_study(directions=["maximize", "minimize"]) for _ in range(2))
    for number in range(40):
        remembering = RememberingTPESampler(number, history)
        assert ask_and_tell(remembering, ours, number) == ask_and_tell(
            TPESampler(seed=number, multivariate=True, group=True), own, number
        )
    assert history.plain == (not constrained)


@pytest.mark.parametrize("told_late", [False, True])
def test_trials_that_wait_count_as_running_ones_do_for_optuna(told_late: bool) -> None:
    """Every second trial waits from its start on; ``told_late``: some of them go on later.

    What Optuna drew for such a trial beside its parameters, for other methods, does not count.
    """

    def ask(sampler: BaseSampler, study: optuna.Study) -> optuna.Trial:
        study.sampler = sampler
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        if trial.suggest_categorical("kind", ["a", "b"]) == "b":
            trial.suggest_int("y", 1, 9)
        return trial

    def values(params: dict[str, float]) -> list[float]:
        return [params["x"], params.get("y", 5) * (1 - params["x"])]

    history = History()
    ours = optuna.create_study(directions=["maximize", "minimize"])
    waiting: list[optuna.Trial] = []
    for number in range(60):
        own = optuna.create_study(directions=["maximize", "minimize"])
        for trial in ours.get_trials():
            own.add_trial(
                optuna.trial.create_trial(
                    state=trial.state,
                    values=trial.values,
                    params=trial.params,
                    distributions=trial.distributions,
                )
            )
        theirs = ask(TPESampler(seed=number, multivariate=True, group=True), own)
        trial = ask(RememberingTPESampler(number, history), ours)
        assert trial.params == theirs.params
        if number % 2:
            history.aside.add(trial.number)
            waiting.append(trial)
        else:
            ours.tell(trial, values(trial.params))
        if told_late and number % 10 == 9:
            late = waiting.pop(0)
            ours.tell(late, values(late.params))


def test_each_name_is_its_sampler() -> None:
    kinds = {"tpe": TPESampler, "nsga2": NSGAIISampler, "random": RandomSampler}
    for name, kind in kinds.items():
        assert isinstance(Samplers(name).make(1), kind)


def test_a_history_knows_groups_and_values() -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
        if trial.suggest_categorical("kind", ["a", "b", "c"]) == "b":
            return rate + trial.suggest_int("steps", 1, 9)
        return rate

    study = optuna.create_study(sampler=RandomSampler(seed=0))
    history = History()
    for _ in range(4):
        study.optimize(objective, n_trials=6)
        groups = history.take_in(study.get_trials(states=(TrialState.COMPLETE,))).search_spaces
    trials = study.trials
    assert sorted(sorted(group) for group in groups) == [["kind", "rate"], ["steps"]]
    for group in groups:
        wanted = [t for t in trials if group.keys() <= t.params.keys() and t.number % 2]
        numbers, found = history.values(group, np.arange(1, len(trials), 2))
        assert numbers.tolist() == [t.number for t in wanted]
        expected = [
            ["abc".index(t.params[name]) if name == "kind" else t.params[name] for name in group]
            for t in wanted
        ]
        np.testing.assert_array_equal(found, np.array(expected))
