"""Importance of hyperparameters: what matters is told from what does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest

from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.search.importance import MIN_TRIALS, importance_table
from kdsearch.spec import parse_spec
from tests.conftest import TEXT
from tests.records import trial

Make = Callable[[int], Study]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A study of so many trials, half of them of ``kd``, in which only its temperature matters.

    Their sizes follow from the width.
    """

    def made(count: int) -> Study:
        directory = StudyDirectory.of(parse_spec(TEXT.format(directory=tmp_path)))
        directory.create(parse_spec(TEXT.format(directory=tmp_path)))
        directory.update(state="finished")
        draws = np.random.default_rng(0)
        for number in range(count):
            temperature, width = float(draws.uniform(1, 16)), float(draws.uniform(0.2, 1))
            parameters = {"method": "dist", "student": "convnet", "convnet.width": width}
            parameters |= {"convnet.depth": 1, "lr": float(draws.uniform(0.02, 0.2))}
            score = 0.5 + 0.01 * float(draws.normal())
            if number % 2:
                weight = float(draws.uniform(0.1, 20))
                parameters |= {"method": "kd", "kd.temperature": temperature, "kd.weight": weight}
                score += 0.02 * temperature
            made = trial(number, min(score, 0.99), int(1000 * width) + number)
            directory.trials.append(made.model_copy(update={"parameters": parameters}))
        return Study.open(directory.path)

    return made


def test_what_matters_is_above_chance_and_what_does_not_is_not(make: Make) -> None:
    table = importance_table(make(160))
    assert set(table["objective"]) == {"accuracy", "parameters"}
    by_score = table[table["objective"] == "accuracy"].set_index("parameter")
    assert by_score["importance"].idxmax() == "kd.temperature"
    assert by_score.loc["kd.temperature", "trials"] == 80
    assert by_score.loc["lr", "trials"] == 160
    assert by_score.loc["kd.temperature", "clear"]
    assert by_score.loc["method", "clear"], "kd is better at any temperature"
    assert not by_score.loc["kd.weight", "clear"]
    assert not by_score.loc["convnet.width", "clear"]
    by_size = table[table["objective"] == "parameters"].set_index("parameter")
    assert by_size["importance"].idxmax() == "convnet.width"
    assert by_size.loc["convnet.width", "clear"]
    assert not by_size.loc["kd.temperature", "clear"]


def test_the_figure_is_optuna_s_among_the_trials_that_have_the_parameter(make: Make) -> None:
    study = make(80)
    told = importance_table(study).set_index(["parameter", "objective"])
    known = [record for record in study.records() if "kd.weight" in record.parameters]
    other = optuna.create_study(direction="maximize")  # of the score itself, not of a loss
    for record in known:
        other.add_trial(
            optuna.create_trial(
                value=record.scores["accuracy"],
                params={"kd.temperature": record.parameters["kd.temperature"]},
                distributions={
                    "kd.temperature": optuna.distributions.FloatDistribution(1, 16, log=True)
                },
            )
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = optuna.importance.get_param_importances(
            other, evaluator=evaluator, normalize=False
        )
    row = told.loc[("kd.temperature", "accuracy")]
    assert row["importance"] == pytest.approx(expected["kd.temperature"])
    assert row["trials"] == len(known) == 40


def test_of_few_trials_nothing_is_told(make: Make) -> None:
    table = importance_table(make(MIN_TRIALS)).set_index(["parameter", "objective"])
    assert table.loc[("kd.weight", "accuracy"), "trials"] == MIN_TRIALS // 2
    assert np.isnan(table.loc[("kd.weight", "accuracy"), "importance"])
    assert not table.loc[("kd.weight", "accuracy"), "clear"]
    assert np.isfinite(table.loc[("lr", "accuracy"), "importance"])


def test_it_is_the_same_each_time_and_leaves_optuna_s_log_as_it_was(make: Make) -> None:
    study, before = make(60), optuna.logging.get_verbosity()
    first = importance_table(study)
    assert first.equals(importance_table(study))
    assert optuna.logging.get_verbosity() == before


def test_a_study_without_a_complete_trial_has_none(make: Make) -> None:
    assert len(importance_table(make(0))) == 0
