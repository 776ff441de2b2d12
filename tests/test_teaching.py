"""A whole study with several teachers, students that teach themselves, and weights taken over."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import kdsearch
from kdsearch.models import build_network, of_images
from kdsearch.results.record import TrialRecord
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from tests.command_line import CallCommand
from tests.user_study import run_whole

pytestmark = pytest.mark.slow

SPEC = """
study: {name: teachers, seed: 5, directory: studies}
data: {source: digits, validation: 0.2, test: 0.25, limit: 500}
teacher:
  model: {family: convnet, width: 1, depth: 2}
  training: {epochs: 4}
teachers:
  wide:
    model: {family: mlp, width: 1}
    training: {epochs: 2}
teaching: {by: [teacher, wide, average, born_again, mutual], generations: 1}
students:
  - {family: convnet, width: {low: 0.3, high: 1.0, log: true}, depth: 2}
  - {family: mlp, width: 0.3}
methods: [kd, simkd, weight_copy+kd, "crd", "mine:Cosine"]
training: {epochs: 2, lr: {low: 0.02, high: 0.2, log: true}, clip_grad_norm: 5}
search: {trials: 24, sampler: random}
finalists: {seeds: 2, max: 3, int8: false, latency: false}
"""

MINE = """
import torch.nn.functional as F
from kdsearch.methods import Hyperparameter, Method, inputs
from kdsearch.models import Signal

class Cosine(Method):
    name, kind, paper = "cosine", "logit", "our own"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(1.0, None, "weight")}

    def forward(self, student, teacher, targets, progress):
        z_s, z_t = inputs.logits(student, teacher)
        return {"cosine": 1 - F.cosine_similarity(z_s, z_t).mean()}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teaching")
    assert "method" in run_whole(path, SPEC, "mine", MINE)
    return path


@pytest.fixture
def study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> kdsearch.Study:
    monkeypatch.chdir(folder)
    return kdsearch.Study.open("studies/teachers")


@pytest.fixture
def trials(study: kdsearch.Study) -> list[TrialRecord]:
    return study.records()


def test_validate_says_what_cannot_work(
    folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, _ = call_command("validate", "space.yaml")
    assert code == 0
    told = " ".join(out.split())
    assert "taught by teacher, wide, average, born_again, mutual" in told
    unfit = [each for each in told.split("never proposed: ") if each.startswith("weight_copy+kd")]
    assert any("taught by wide:" in each for each in unfit)
    assert any("taught by average, born_again and mutual:" in each for each in unfit)


def test_every_trial_ends_well_and_who_taught_is_known(trials: list[TrialRecord]) -> None:
    assert [(t.number, t.reason) for t in trials if t.status != "complete"] == []
    taught = {trial.task.teacher for trial in trials}
    assert taught == {None, "teacher", "wide", AVERAGE, BORN_AGAIN, MUTUAL}
    for trial in trials:
        assert (trial.task.teacher is None) == (trial.task.method.label == "none")
        assert len(trial.epochs) == (4 if trial.task.teacher == BORN_AGAIN else 2)
        assert 0 <= trial.epochs[-1]["agreement"] <= 1
        assert trial.epochs[-1]["kl"] > 0


def test_what_was_said_not_to_work_was_never_proposed(trials: list[TrialRecord]) -> None:
    for trial in trials:
        label, task = trial.task.method.label, trial.task
        if label == "weight_copy+kd":
            pairs = {("teacher", "convnet"), ("wide", "mlp")}
            assert (task.teacher, task.model.family) in pairs
        if label in ("simkd", "weight_copy+kd"):
            assert task.teacher in ("teacher", "wide")
        if label == "crd":
            assert task.teacher != AVERAGE


def test_the_size_of_a_student_counts_all_that_it_ships(trials: list[TrialRecord]) -> None:
    adopted = [trial for trial in trials if trial.task.method.label == "simkd"]
    assert adopted
    for trial in trials:
        network = build_network(trial.task.model, of_images((1, 8, 8)), 10)
        assert trial.parameter_count == sum(value.numel() for value in network.parameters())
        assert (trial.task.model.adopts is not None) == (trial in adopted)
    for trial in adopted:
        bare = build_network(
            trial.task.model.model_copy(update={"adopts": None}), of_images((1, 8, 8)), 10
        )
        assert trial.parameter_count > sum(value.numel() for value in bare.parameters())


def test_baselines_are_plain_students(study: kdsearch.Study) -> None:
    for finalist in study.finalists():
        for run in finalist.baseline:
            assert (run.task.teacher, run.task.method.label) == (None, "none")
            assert run.task.model.adopts is None
        assert finalist.test("agreement").count == 2


def test_the_methods_are_ranked(study: kdsearch.Study) -> None:
    table = pd.read_csv(study.directory.path / "ranking.csv")
    assert set(table["method"]) == {"none", "kd", "simkd", "weight_copy+kd", "crd", "mine:Cosine"}
    scored = table.dropna(subset=["hypervolume"])
    assert scored["hypervolume"].is_monotonic_decreasing
    assert (scored["hypervolume_low"] <= scored["hypervolume"]).all()


def test_mlflow_has_both_teachers_and_the_scores(study: kdsearch.Study) -> None:
    client = MlflowClient("sqlite:///mlflow.db")
    parent = client.get_run(study.state["mlflow"]["run_id"])
    inside = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    taught = client.search_runs([parent.info.experiment_id], f"{inside} and tags.kind = 'teacher'")
    assert {run.data.tags["teacher"] for run in taught} == {"teacher", "wide"}
    assert all("validation/accuracy" in run.data.metrics for run in taught)
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert "ranking.csv" in artifacts
    nested = client.search_runs(
        [parent.info.experiment_id],
        f"{inside} and tags.phase = 'search'",
    )
    assert len(nested) == 24
    for run in nested:
        wanted = {"search/ece", "search/agreement", "search/kl"}
        assert wanted <= run.data.metrics.keys()
