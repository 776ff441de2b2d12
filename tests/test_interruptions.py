"""Studies that are cut off or lose processes: real signals, real kills, and the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import kdsearch
from kdsearch.search.directory import StudyDirectory
from tests.user_study import command, lines, start, wait_until

pytestmark = pytest.mark.slow

COLUMNS = ["trial", "method", "width", "lr", "validation_accuracy"]


@pytest.fixture
def folder(user_folder: Path) -> Path:
    return user_folder


@pytest.fixture
def whole(user_folder: Path, finished: subprocess.CompletedProcess[str]) -> kdsearch.Study:
    """The study that nothing disturbed."""
    assert finished.returncode == 0, finished.stderr
    return kdsearch.Study.open(user_folder / "studies" / "tiny")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, timeout=300)


def state(path: Path) -> dict:
    file = path / "study.json"
    return json.loads(file.read_text()) if file.exists() else {}


def interrupt(folder: Path, words: list[str], path: Path, when: str, least: int = 1) -> None:
    """Send an interrupt once ``least`` trials have ended, or in the teacher's training."""
    with start(folder, words) as process:
        if when == "teacher":
            wait_until(lambda: state(path).get("phase") == "teacher", process)
            wait_until(lambda: list((folder / "studies" / ".teachers").glob("*.run")), process)
        else:
            wait_until(lambda: lines(path / "trials.jsonl") >= least, process)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    plain = " ".join(word for word in words if word != "--resume")
    assert errors.strip() == f"kdsearch: interrupted; go on with: kdsearch {plain} --resume"
    assert state(path)["state"] == "interrupted"


def check_records(study: kdsearch.Study) -> None:
    """MLflow holds each trial once, and ended."""
    known = study.state["mlflow"]
    uri = f"sqlite:///{(study.directory.path.parents[1] / 'mlflow.db').resolve()}"
    runs = MlflowClient(uri).search_runs(
        [known["experiment_id"]],
        f"tags.`mlflow.parentRunId` = '{known['run_id']}' and tags.phase = 'search'",
    )
    assert sorted(int(run.data.tags["number"]) for run in runs) == study.trials["trial"].tolist()
    assert all(run.info.status in ("FINISHED", "FAILED") for run in runs)


def test_a_killed_study_goes_on_to_the_same_end(folder: Path, whole: kdsearch.Study) -> None:
    words = ["run", "space.yaml", "--set", "study.name=killed"]
    path = folder / "studies" / "killed"
    with start(folder, words) as process:
        wait_until(lambda: lines(path / "trials.jsonl") >= 4, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    before = (path / "trials.jsonl").read_bytes()
    done = run(folder, *words, "--resume")
    assert done.returncode == 0, done.stderr
    assert (path / "trials.jsonl").read_bytes().startswith(before)
    study = kdsearch.Study.open(path)
    pd.testing.assert_frame_equal(study.trials[COLUMNS], whole.trials[COLUMNS])
    pd.testing.assert_frame_equal(study.front, whole.front)
    check_records(study)


def test_an_interrupted_study_says_how_to_go_on_and_does(
    folder: Path, whole: kdsearch.Study
) -> None:
    """In the teacher's training, which a second process takes up, and in the search after it."""
    words = ["run", "space.yaml", "--set", "study.name=cut", "--set", "teacher.seed=9"]
    path = folder / "studies" / "cut"
    interrupt(folder, words, path, "teacher")
    assert lines(path / "trials.jsonl") == 0
    interrupt(folder, [*words, "--resume"], path, "search", least=3)
    done = run(folder, *words, "--resume")
    assert done.returncode == 0, done.stderr
    study = kdsearch.Study.open(path)
    assert study.state["state"] == "finished"
    assert study.state["reason"] is None
    columns = ["trial", "method", "width", "lr"]
    # another teacher, so other accuracies; the first proposals do not depend on them
    pd.testing.assert_frame_equal(study.trials[columns][:4], whole.trials[columns][:4])
    check_records(study)


def test_one_process_at_a_time_runs_a_study(folder: Path, whole: kdsearch.Study) -> None:
    words = ["run", "space.yaml", "--set", "study.name=tiny", "--resume"]
    with StudyDirectory(whole.directory.path).locked():
        refused = run(folder, *words)
    assert refused.returncode == 2
    assert "another process is running the study" in refused.stderr
    assert refused.stderr.count("\n") == 1
    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "front of tiny" in done.stdout


def test_lost_processes_cost_their_trials_alone(folder: Path) -> None:
    """One process is lost once and begun again, others every time, and some break."""
    students = ", ".join(
        f"{{family: 'own_students:{name}', width: {{low: 0.1, high: 0.5}}}}"
        for name in ("broken", "always_lost", "lost_once")
    )
    changes = [
        "study.name=lost",
        f"students=[{students}]",
        "methods=[none]",
        "search.trials=9",
        "search.sampler=random",
        "finalists.max=1",
    ]
    words = [word for change in changes for word in ("--set", change)]
    done = run(folder, "run", "space.yaml", *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    trials = kdsearch.Study.open(folder / "studies" / "lost").trials
    families = trials.groupby("family")
    assert set(families.groups) == {
        f"own_students:{name}" for name in ("broken", "always_lost", "lost_once")
    }
    for family, rows in families:
        good = family.endswith("lost_once")
        assert set(rows["status"]) == {"complete" if good else "failed"}, family
        if good:
            assert rows["epochs"].tolist() == [2] * len(rows)
    assert (folder / "lost").exists()
    reasons = set(trials[trials["family"] == "own_students:broken"]["reason"])
    assert len(reasons) == 1
    assert "the user's own mistake" in reasons.pop()
    lost = trials[trials["family"] == "own_students:always_lost"]["reason"]
    assert all("Actor" in reason or "died" in reason for reason in lost)
