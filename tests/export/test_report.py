"""The report's files, read back by readers that know nothing of kdsearch."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kdsearch.data import Dataset
from kdsearch.export import load_student
from kdsearch.export.report import write_students, write_tables
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.front_file import rows
from kdsearch.results.judging import Judging
from kdsearch.results.study import Study
from kdsearch.spec.study import StudySpec
from tests.export.conftest import Trained, strict_json


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.nan, None])
def test_what_is_no_number_becomes_null(value: Any) -> None:
    found = rows(pd.DataFrame([{"gain": value, "seeds": 1}, {"gain": 0.25, "seeds": 2}]))
    expected = [{"gain": None, "seeds": 1}, {"gain": 0.25, "seeds": 2}]
    assert strict_json(json.dumps(found, allow_nan=False)) == expected


def test_other_values_stay_as_they_are() -> None:
    row = {"method": "kd", "weights": {"ce": 0.1}, "front": True, "depth": 3, "reason": None}
    assert rows(pd.DataFrame([row])) == [row]


def test_a_table_without_rows_has_none() -> None:
    assert rows(pd.DataFrame([])) == []


def test_the_front_is_strict_json_and_csv_of_the_same_rows(study: Study) -> None:
    write_tables(study)
    content = strict_json((study.directory.path / "front.json").read_text())
    assert content["study"] == "small"
    (row,) = content["front"]
    assert row["trial"] == 7
    assert row["method"] == "kd+fitnet"
    assert row["temperature"] == 3
    assert row["weights"] == {"ce": 0.1, "kd.weight": 0.9, "fitnet.weight": 100}
    assert row["test_accuracy"] == pytest.approx((0.5 + 0.7) / 2)
    # Student's t at 97.5 % with one degree of freedom is tan(0.475 π)
    assert row["test_accuracy_ci"] == pytest.approx(math.tan(0.475 * math.pi) * 0.1)
    assert row["test_nll"] == 1
    assert row["test_ece"] == pytest.approx(0.12)
    assert row["test_ece_ci"] == pytest.approx(math.tan(0.475 * math.pi) * 0.02)
    assert row["test_agreement"] == pytest.approx(0.7)
    assert (row["test_kl"], row["test_kl_ci"]) == (0.5, 0)
    assert row["baseline_accuracy"] == pytest.approx(0.4)
    assert row["baseline_accuracy_ci"] is None
    assert row["gain"] == pytest.approx(0.5 - 0.4)
    assert row["gain_ci"] is None

    with (study.directory.path / "front.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert set(line) == set(row)
    assert float(line["test_accuracy"]) == row["test_accuracy"]
    assert strict_json(line["weights"]) == row["weights"]
    assert strict_json(line["hyperparameters"]) == row["hyperparameters"]
    assert line["gain_ci"] == ""


def test_the_ranking_is_strict_json_and_csv_of_the_same_rows(
    study: Study, trained: Trained
) -> None:
    for number, accuracy in ((9, 0.55), (10, 0.65)):
        epoch = {"epoch": 1.0, "accuracy": accuracy, "seconds": 2.0}
        more = trained.finalist.trial.model_copy(update={"number": number, "epochs": (epoch,)})
        study.directory.trials.append(more)
    write_tables(study)
    content = strict_json((study.directory.path / "ranking.json").read_text())
    assert content["study"] == "small"
    (row,) = content["ranking"]
    assert (row["method"], row["trials"], row["budget"]) == ("kd+fitnet", 3, 3)
    best = max(trained.finalist.trial.scores.get("accuracy", 0), 0.65)
    assert row["best_score"] == pytest.approx(best)
    assert row["best_score_low"] < best <= row["best_score_high"]
    assert (row["gain"], row["gain_low"], row["clear"]) == (None, None, False)

    with (study.directory.path / "ranking.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert set(line) == set(row)
    assert float(line["hypervolume"]) == row["hypervolume"]
    assert (line["gain"], line["clear"]) == ("", "False")


def test_every_trial_is_in_the_csv_with_its_reason(study: Study, trained: Trained) -> None:
    write_tables(study)
    with (study.directory.path / "trials.csv").open(newline="") as file:
        good, failed = csv.DictReader(file)
    assert (good["trial"], good["status"], good["front"]) == ("7", "complete", "True")
    assert (failed["trial"], failed["status"], failed["front"]) == ("8", "failed", "False")
    assert failed["reason"] == 'a "reason", told'
    assert failed["validation_accuracy"] == failed["validation_ece"] == ""
    last = trained.finalist.trial.epochs[-1]
    for name in ("nll", "ece"):
        assert float(good[f"validation_{name}"]) == last[name]
    assert good["validation_agreement"] == good["validation_kl"] == ""


def test_tables_of_a_study_without_a_finalist_are_empty(spec: StudySpec) -> None:
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    directory.update(state="failed")
    write_tables(Study(directory))
    for name in ("front", "ranking"):
        assert strict_json((directory.path / f"{name}.json").read_text())[name] == []
    for name in ("front", "ranking", "trials"):
        assert (directory.path / f"{name}.csv").exists()


def test_the_shipped_training_is_the_best_on_validation(
    study: Study, digits: Dataset, trained: Trained
) -> None:
    write_students(study, digits)
    (folder,) = study.directory.students.iterdir()
    assert folder.name == "trial-0007"
    facts = load_student(folder).facts
    second = Judging(study.spec, [trained.finalist.trial], [], {}).runs[1]
    assert facts["seed"] == second.task.seed
    assert facts["validation_scores"]["accuracy"] == pytest.approx(0.6)
    assert facts["test_scores"]["accuracy"] == 0.7
    assert facts["test_scores_over_seeds"]["accuracy"]["seeds"] == 2


def test_a_finalist_without_a_complete_training_ships_nothing(
    spec: StudySpec, trained: Trained, digits: Dataset
) -> None:
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    directory.update(state="finished")
    directory.trials.append(trained.finalist.trial)
    write_students(Study(directory), digits)
    assert not directory.students.exists()
