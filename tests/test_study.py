"""Whole studies through the command line and the Python API, on real Ray, Optuna and MLflow."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score

import kdsearch
from kdsearch.data import load_dataset
from kdsearch.models import build_network
from tests.command_line import CallCommand
from tests.test_docs_shipping import check_export
from tests.tracking.playing import copy_of

pytestmark = pytest.mark.slow


@pytest.fixture
def study(
    user_folder: Path, finished: subprocess.CompletedProcess[str], monkeypatch: pytest.MonkeyPatch
) -> kdsearch.Study:
    assert finished.returncode == 0, finished.stderr
    monkeypatch.chdir(user_folder)
    monkeypatch.syspath_prepend(str(user_folder))
    return kdsearch.Study.open("studies/tiny")


def test_the_command_prints_progress_and_the_front(
    finished: subprocess.CompletedProcess[str],
) -> None:
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    lines = finished.stdout.splitlines()
    assert "search: 14 trainings" in lines
    assert any("of 14 complete" in line and "running" in line for line in lines)
    assert any(line.startswith("front of tiny") for line in lines)
    assert "\x1b[" not in finished.stdout


def test_the_front_is_written_in_four_forms(study: kdsearch.Study) -> None:
    folder = study.directory.path
    table = pd.read_csv(folder / "front.csv")
    rows = json.loads((folder / "front.json").read_text())["front"]
    assert len(table) == len(rows) == len(study.front) >= 1
    assert table["test_accuracy"].tolist() == pytest.approx([r["test_accuracy"] for r in rows])
    assert table["parameters"].is_monotonic_increasing
    with Image.open(folder / "front.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    page = (folder / "report.html").read_text()
    assert "plotly.js v" in page
    shown = json.loads(re.findall(r'id="data">\n(.*)\n</script>', page)[0])
    assert [row["trial"] for row in shown["finalists"]] == table["trial"].tolist()
    assert all(row["folder"] for row in shown["finalists"])
    assert shown["study"]["state"] == "finished", "written by the run itself"


def test_the_front_is_not_beaten_by_any_trial(study: kdsearch.Study) -> None:
    trials = study.trials
    assert len(trials) == 14
    members = trials[trials["front"]]
    for member in members.itertuples():
        better = trials[
            (trials["validation_accuracy"] >= member.validation_accuracy)
            & (trials["parameters"] <= member.parameters)
            & (trials["trial"] != member.trial)
            & (
                (trials["validation_accuracy"] > member.validation_accuracy)
                | (trials["parameters"] < member.parameters)
            )
        ]
        assert better.empty


def test_a_shipped_student_scores_on_the_test_what_its_file_says(study: kdsearch.Study) -> None:
    data = load_dataset(study.spec.data)
    folders = sorted(study.directory.students.iterdir())
    assert len(folders) == len(study.front)
    for path in folders:
        student = kdsearch.load_student(path)
        predicted = student.predict(data.test.images)
        truth = [data.classes[label] for label in data.test.labels.tolist()]
        assert student.facts["test_scores"]["accuracy"] == pytest.approx(
            accuracy_score(truth, predicted)
        )
        assert sum(p.numel() for p in student.parameters()) == student.facts["parameters"]
        floats = student(data.test.images[:5].float() / 255)
        assert torch.allclose(floats, student(data.test.images[:5]), atol=1e-5)


def test_the_teacher_is_scored_on_the_test_and_the_pick_retains_a_share_of_it(
    study: kdsearch.Study, call_command: CallCommand
) -> None:
    data = load_dataset(study.spec.data)
    model = study.spec.teacher.model
    network = build_network(model, data.inputs, len(data.classes)).eval()
    network.load_state_dict(load_file(study.state["teachers"]["teacher"]["weights"]))
    mean, std = (
        torch.tensor(each).view(1, -1, 1, 1) for each in vars(data.scales["image"]).values()
    )
    with torch.no_grad():
        outputs = network((data.test.images.float() / 255 - mean) / std)
    right = float(np.mean(outputs.argmax(1).numpy() == data.test.labels.numpy()))
    assert study.teacher is not None
    assert study.teacher.test["accuracy"] == pytest.approx(right)
    assert study.teacher.sizes["parameters"] == sum(p.numel() for p in network.parameters())

    told = json.loads(call_command("pick", "studies/tiny", "--json").out)["pick"]
    assert told["retained"] == pytest.approx(told["test_accuracy"] / right)
    best = study.front["mean_validation_accuracy"].max()
    assert told["mean_validation_accuracy"] >= best - study.front["mean_validation_error"].max()
    page = call_command("pick", "studies/tiny").out
    assert f"ship          trial {told['trial']}: {told['method']}" in page
    none = call_command("pick", "studies/tiny", "--max-parameters", "1")
    assert none.code == 1
    assert "keeps the limits; the nearest is trial" in none.err


def test_mlflow_holds_the_study_its_trials_and_its_report(study: kdsearch.Study) -> None:
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    known = study.state["mlflow"]
    parent = client.get_run(known["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["data_fingerprint"] == load_dataset(study.spec.data).fingerprint
    assert parent.data.tags["version.torch"] == torch.__version__.split("+")[0]
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert names >= {
        "spec.yaml",
        "resolved.yaml",
        "front.csv",
        "front.json",
        "report.html",
        "front.png",
        "trials.csv",
    }
    volumes = client.get_metric_history(parent.info.run_id, "hypervolume")
    by_step = [point.value for point in sorted(volumes, key=lambda point: point.step)]
    assert [point.step for point in sorted(volumes, key=lambda p: p.step)] == list(range(1, 15))
    assert by_step == sorted(by_step)
    assert by_step == pytest.approx(study.hypervolumes(), rel=1e-3)

    nested = client.search_runs(
        [known["experiment_id"]],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.phase = 'search'",
    )
    assert len(nested) == 14
    table = study.trials.set_index("trial")
    for run in nested:
        row = table.loc[int(run.data.tags["number"])]
        assert run.data.params["method"] == row["method"]
        assert run.data.metrics["size/parameters"] == row["parameters"]
        if row["status"] == "complete":
            history = client.get_metric_history(run.info.run_id, "search/accuracy")
            assert [point.step for point in history] == [1, 2]
            assert history[-1].value == pytest.approx(row["validation_accuracy"], abs=5e-5)
        else:
            assert run.info.status == "FAILED"
            assert run.data.tags["reason"] == row["reason"]
    inside = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    tagged = client.search_runs([known["experiment_id"]], f"{inside} and tags.front = 'true'")
    front = study.front.set_index("trial")
    assert {int(run.data.tags["number"]) for run in tagged} == set(front.index)
    for run in tagged:
        expected = front.loc[int(run.data.tags["number"]), "test_accuracy"]
        assert run.data.metrics["test/accuracy"] == pytest.approx(expected, abs=5e-5)
        assert client.list_artifacts(run.info.run_id, "student")


def test_a_copy_made_from_the_study_s_files_is_what_the_study_had_written(
    study: kdsearch.Study, call_command: CallCommand
) -> None:
    own = study.state["mlflow"]["uri"]
    before = copy_of(study, own)
    code, out, err = call_command("sync", "studies/tiny", "--uri", "sqlite:///copy.db")
    told = f"studies/tiny is complete in sqlite:///{Path('copy.db').absolute()}\n"
    assert (code, out, err) == (0, told, "")
    assert copy_of(study, "sqlite:///copy.db") == before
    assert call_command("sync", "studies/tiny", "--uri", own).code == 0
    assert copy_of(study, own) == before
    assert len(before) > 14


def test_an_exported_student_scores_as_the_front_says(
    study: kdsearch.Study, user_folder: Path, tmp_path: Path
) -> None:
    check_export(user_folder, tmp_path)


def test_a_second_run_under_the_same_name_is_refused(
    study: kdsearch.Study, call_command: CallCommand
) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.directory.path.rglob("*")}
    code, _, err = call_command("run", "space.yaml")
    assert code == 2
    assert "--resume" in err
    assert err.count("\n") == 1
    assert {p: p.stat().st_mtime_ns for p in study.directory.path.rglob("*")} == before
