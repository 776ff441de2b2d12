"""The study of the page on tasks whose teachers know some tasks alone, run to its front."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from torch import Tensor

import kdsearch
from kdsearch import load_student
from kdsearch.data import Dataset, load_dataset
from kdsearch.models import build_network
from kdsearch.models.weights import load_weights
from kdsearch.problems import Problem
from kdsearch.spec import parse_spec
from kdsearch.training.teacher_store import teacher_key, teacher_task
from tests.command_line import CallCommand
from tests.docs_page import TASKS

pytestmark = pytest.mark.slow

SHORTER = (
    "teacher.training.epochs=8",
    "teachers.ink.training.epochs=8",
    "training.epochs=3",
    "search.trials=8",
    "finalists.seeds=2",
    "finalists.max=1",
    "tracking.uri=sqlite:///mlflow.db",
)
SPACE = TASKS.spaces()["specialists"]
COLUMNS = {"teacher": 12, "ink": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("specialists")
    printed = TASKS.run_command(SPACE, path, SHORTER, seconds=900)
    assert "teacher ink: trained, validation MAE" in printed
    assert "teacher: trained, validation mean over the tasks" in printed
    return path


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> kdsearch.Study:
    monkeypatch.chdir(folder)
    return kdsearch.Study.open("studies/specialists")


@pytest.fixture
def data(study: kdsearch.Study) -> Dataset:
    return load_dataset(study.spec.data, Problem.of(study.spec))


def outputs_of_teachers(study: kdsearch.Study, data: Dataset) -> dict[str, Tensor]:
    """Of all test images, from the weights on disk."""
    scale = data.scales["image"]
    images = (data.test.images.float() / 255 - scale.mean[0]) / scale.std[0]
    found = {}
    for name, columns in COLUMNS.items():
        model = study.spec.given_teachers[name].model
        network = build_network(model, data.inputs, columns)
        load_weights(network, Path(study.state["teachers"][name]["weights"]), "the teacher")
        with torch.no_grad():
            found[name] = network.eval()(images)
    return found


def test_validate_lists_who_knows_what(
    folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, _ = call_command("validate", "space.yaml")
    assert code == 0
    told = " ".join(out.split())
    assert "taught by by_task the teacher knows digit and parity teacher ink knows ink" in told
    assert "by_task: digit of teacher, parity of teacher and ink of ink; students are" in told


def test_every_trial_is_taught_by_both(study: kdsearch.Study) -> None:
    trials = study.records()
    assert [(each.number, each.reason) for each in trials if not each.complete] == []
    labels = {trial.task.method.label for trial in trials}
    assert {"none", "kd"} <= labels
    for trial in trials:
        taught = None if trial.task.method.label == "none" else "by_task"
        assert trial.task.teacher == taught
        assert {"digit/agreement", "parity/agreement", "ink/teacher_mae"} <= trial.scores.keys()


def test_the_teachers_know_their_tasks(study: kdsearch.Study, data: Dataset) -> None:
    outputs, targets = outputs_of_teachers(study, data), data.test.targets
    digit = outputs["teacher"][:, :10].argmax(dim=1)
    parity = outputs["teacher"][:, 10:].argmax(dim=1)
    assert float((digit == targets["digit"]).float().mean()) > 0.6
    assert float((parity == targets["parity"]).float().mean()) > 0.7
    train = data.train.targets["ink"].double().numpy()
    ink = outputs["ink"][:, 0].double().numpy() * train.std() + train.mean()
    guess = np.abs(train.mean() - targets["ink"].numpy()).mean()
    assert np.abs(ink - targets["ink"].numpy()).mean() < guess / 3


def test_students_are_compared_with_the_teacher_of_each_task(
    study: kdsearch.Study, data: Dataset
) -> None:
    """Agreement and distance of the shipped students, from their answers and the teachers' own."""
    outputs = outputs_of_teachers(study, data)
    digit = outputs["teacher"][:, :10].argmax(dim=1).numpy()
    train = data.train.targets["ink"].double().numpy()
    ink = outputs["ink"][:, 0].double().numpy() * train.std() + train.mean()
    folders = list((study.directory.path / "students").iterdir())
    assert folders
    for folder in folders:
        told = json.loads((folder / "student.json").read_text())
        answers = load_student(folder).predict(data.test.images)
        agreed = np.mean(np.array([int(each) for each in answers["digit"]]) == digit)
        apart = np.abs(np.array(answers["ink"]) - ink).mean()
        scores = told["test_scores"]
        assert scores["digit/agreement"] == pytest.approx(agreed, abs=1e-6)
        assert scores["ink/teacher_mae"] == pytest.approx(apart, rel=1e-4)


def test_sizes_are_each_teachers_own_and_the_front_is_measured_by_their_sum(
    study: kdsearch.Study, data: Dataset
) -> None:
    counted = []
    for name, columns in COLUMNS.items():
        network = build_network(study.spec.given_teachers[name].model, data.inputs, columns)
        counted.append(sum(value.numel() for value in network.parameters()))
        assert study.state["teachers"][name]["size"]["parameters"] == counted[-1]
    assert study.size == "parameters"
    assert study.largest == (sum(counted),)
    front = pd.read_csv(study.directory.path / "front.csv")
    assert len(front)
    assert set(front["teacher"].dropna()) <= {"by_task"}
    assert set(front["objective"]) == {"mean"}


def test_mlflow_has_the_scores_of_each_on_its_own_tasks(
    study: kdsearch.Study, folder: Path
) -> None:
    # a relative path would be that of whichever test of this process asked first
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    parent = client.get_run(study.state["mlflow"]["run_id"])
    runs = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.kind = 'teacher'",
    )
    taught = {run.data.tags["teacher"]: run.data for run in runs}
    assert "validation/digit/accuracy" in taught["teacher"].metrics
    assert "validation/mae" in taught["ink"].metrics
    assert not any("ink" in name for name in taught["teacher"].metrics)
    assert taught["teacher"].tags["tasks"] == "digit, parity"
    assert taught["ink"].tags["tasks"] == "ink"


def test_a_study_with_other_weights_of_tasks_finds_the_one_it_has(
    study: kdsearch.Study, data: Dataset
) -> None:
    """Without other losses there is nothing to weigh, so the teacher of ink is the same."""
    tasks = "problem.tasks={digit: class, parity: {kind: class, weight: 0.5}, ink: value}"
    known, other = (
        study.spec,
        parse_spec(SPACE, [*SHORTER, tasks]),
    )
    for spec, same in ((known, {"teacher", "ink"}), (other, {"ink"})):
        keys = {name: teacher_key(teacher_task(spec, name), data) for name in COLUMNS}
        found = {name for name in keys if keys[name] == study.state["teachers"][name]["key"]}
        assert found == same
    assert len(list(Path("studies/.teachers").glob("*/teacher.json"))) == 2
