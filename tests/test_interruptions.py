"""Studies that are cut off or lose processes: real signals, and the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import kdsearch
from kdsearch.data import load_dataset
from kdsearch.models import build_network
from kdsearch.models.weights import save_weights
from kdsearch.results.directory import StudyDirectory
from kdsearch.spec.concrete import ModelConfig
from tests.command_line import CallCommand
from tests.fronts import assert_fronts_alike
from tests.own_ray import ray_in
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


@pytest.fixture(scope="module")
def _ray(user_folder: Path) -> Iterator[None]:
    with ray_in(user_folder):
        yield


@pytest.fixture
def call_in_folder(
    _ray: None, folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> CallCommand:
    """The command line in this process, in the user's folder."""
    monkeypatch.chdir(folder)
    return call_command


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )


def state(path: Path) -> dict:
    file = path / "study.json"
    return json.loads(file.read_text()) if file.exists() else {}


def cut_off(
    folder: Path, words: list[str], by: signal.Signals, when: Callable[[], bool]
) -> tuple[int, str]:
    """Send a running command a signal; its exit code and what it says of it."""
    with start(folder, words) as process:
        wait_until(when, process)
        os.kill(process.pid, by)
        _, errors = process.communicate(timeout=300)
    return process.returncode, errors


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


def test_an_interrupted_study_goes_on_to_the_same_end(folder: Path, whole: kdsearch.Study) -> None:
    """In the teacher's training, which a second process takes up, and in the search."""
    words = ["run", "space.yaml", "--set", "study.directory=elsewhere"]
    path = folder / "elsewhere" / "tiny"

    def in_the_teachers_training() -> bool:
        return state(path).get("phase") == "teacher" and any(
            (folder / "elsewhere" / ".teachers").glob("*.run")
        )

    go_on = (
        "kdsearch: stopping: the trainings that run are ended, what is finished is saved, Ray and "
        "MLflow are closed; that takes some seconds\n"
        f"kdsearch: interrupted; go on with: kdsearch {' '.join(words)} --resume\n"
    )
    assert cut_off(folder, words, signal.SIGINT, in_the_teachers_training) == (130, go_on)
    assert state(path)["state"] == "interrupted"
    assert lines(path / "trials.jsonl") == 0

    words.append("--resume")
    found = cut_off(folder, words, signal.SIGHUP, lambda: lines(path / "trials.jsonl") >= 3)
    assert found == (130, go_on)
    assert state(path)["state"] == "interrupted"
    interrupted = (path / "trials.jsonl").read_bytes()

    done = run(folder, *words)
    assert done.returncode == 0, done.stderr
    assert (path / "trials.jsonl").read_bytes().startswith(interrupted)
    study = kdsearch.Study.open(path)
    assert (study.state["state"], study.state["reason"]) == ("finished", None)
    pd.testing.assert_frame_equal(study.trials[COLUMNS], whole.trials[COLUMNS])
    assert_fronts_alike(study.front, whole.front)
    check_records(study)


def test_one_process_at_a_time_runs_a_study(
    folder: Path, whole: kdsearch.Study, call_in_folder: CallCommand
) -> None:
    words = ["run", "space.yaml", "--set", "study.name=tiny", "--resume"]
    with StudyDirectory(whole.directory.path).locked():
        refused = run(folder, *words)
    assert refused.returncode == 2
    assert "another process is running the study" in refused.stderr
    assert refused.stderr.count("\n") == 1
    code, out, err = call_in_folder(*words)
    assert (code, err) == (0, "")
    assert "front of tiny" in out


def test_lost_processes_cost_their_trials_alone(folder: Path, call_in_folder: CallCommand) -> None:
    """One process is lost once and begun again, others every time, and some break."""
    students = ", ".join(
        f"{{family: 'own_students:{name}', width: {{low: 0.1, high: 0.5}}}}"
        for name in ("broken", "always_lost", "lost_once")
    )
    changes = [
        "study.name=lost",
        "study.seed=8",  # which proposes each of the three twice
        f"students=[{students}]",
        "methods=[none]",
        "search.trials=6",
        "search.sampler=random",
        "finalists.max=1",
        "resources.concurrent=1",
    ]
    words = [word for change in changes for word in ("--set", change)]
    code, _, err = call_in_folder("run", "space.yaml", *words)
    assert (code, err) == (0, "")
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
    broken = trials[trials["family"] == "own_students:broken"]["reason"]
    assert all("the user's own mistake" in reason for reason in broken)
    lost = trials[trials["family"] == "own_students:always_lost"]["reason"]
    assert all(reason.startswith("its process ended without a word") for reason in lost)
    assert all("4 times without coming further" in reason for reason in lost)
    logs = folder / "studies" / "lost" / "failures"
    assert {file.name for file in logs.iterdir()} == {
        f"search-{number:04d}.log"
        for number in trials[trials["family"].str.endswith("broken")].trial
    }


def test_set_ups_that_always_fail_end_the_study_with_their_reason(
    folder: Path, call_in_folder: CallCommand
) -> None:
    """The teacher's function works in the driver, and fails wherever trials run."""
    spec = kdsearch.load_spec(folder / "space.yaml")
    data = load_dataset(spec.data)
    model = ModelConfig(family="own_students:broken", width=0.5)
    network = build_network(model, data.inputs, len(data.classes))
    save_weights(network, folder / "broken.safetensors")
    changes = [
        "study.name=unready",
        "teacher={model: {family: 'own_students:broken', width: 0.5}, checkpoint: "
        "broken.safetensors}",
        "methods=[none, kd]",
    ]
    words = [word for change in changes for word in ("--set", change)]
    code, out, err = call_in_folder("run", "space.yaml", *words)
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(
        "kdsearch: no node can run a training, after 3 set-ups in a row have failed: "
        "own_students:broken failed on"
    )
    assert "RuntimeError: the user's own mistake" in err
    assert "the user's own mistake); fix the function; it starts over" in out
    study = kdsearch.Study.open(folder / "studies" / "unready")
    assert (study.state["state"], len(study.trials)) == ("failed", 0)


def test_what_has_failed_is_tried_again_on_request_alone(
    folder: Path, call_in_folder: CallCommand
) -> None:
    """The teacher's function reads a file by a relative path, in Ray Train's workers too."""
    changes = [
        "study.name=retried",
        "teacher.model={family: 'own_students:bottleneck', width: 0.5}",
        "students=[{family: 'own_students:broken_before', width: {low: 0.1, high: 0.5}}]",
        "methods=[kd]",
        "search.trials=3",
        "finalists.max=1",
        "resources.concurrent=1",
    ]
    words = ["run", "space.yaml", *(word for change in changes for word in ("--set", change))]
    for more in ([], ["--resume"]):
        code, _, err = call_in_folder(*words, *more)
        assert code == 1
        assert "none of the 3 trials ended well" in err
        (folder / "fixed").touch()
    study = kdsearch.Study.open(folder / "studies" / "retried")
    proposed = {record.number: record.parameters for record in study.records()}
    code, _, err = call_in_folder(*words, "--resume", "--retry-failed")
    assert (code, err) == (0, "")
    records = {record.number: record for record in study.records()}
    assert {number: record.status for number, record in records.items()} == dict.fromkeys(
        range(3), "complete"
    )
    assert {number: record.parameters for number, record in records.items()} == proposed
    check_records(study)


def test_a_finalist_that_has_failed_is_tried_again_on_request(
    folder: Path, call_in_folder: CallCommand
) -> None:
    changes = [
        "study.name=later",
        "students=[{family: 'own_students:broken_later', width: {low: 0.1, high: 0.5}}]",
        "methods=[none]",
        "search.trials=3",
        "finalists.max=1",
        "resources.concurrent=1",
    ]
    words = ["run", "space.yaml", *(word for change in changes for word in ("--set", change))]
    call_in_folder(*words)
    study = kdsearch.Study.open(folder / "studies" / "later")
    before = study.directory.finalists.read()
    assert {record.status for record in before.values()} == {"failed"}
    assert all("broken among" in (record.reason or "") for record in before.values())
    (folder / "mended").touch()
    code, _, err = call_in_folder(*words, "--resume", "--retry-failed")
    assert (code, err) == (0, "")
    after = study.directory.finalists.read()
    assert {record.status for record in after.values()} <= {"complete", "stopped"}
    tasks = [record.task.key for record in after.values()]
    assert len(set(tasks)) == len(tasks)
    assert len(study.front) == 1
    assert study.front["seeds"].tolist() == [2]
