"""Trials that a scheduler ends early, on real Ray Tune: alike at any speed and after a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import kdsearch
from kdsearch.search.session import ray_session
from kdsearch.spec import load_spec
from tests.command_line import CallCommand
from tests.user_study import lines, make_folder, start, wait_until

pytestmark = pytest.mark.slow

EPOCHS = 6
CHANGES = [
    "methods=[none, kd]",
    "students=[{family: convnet, width: {low: 0.2, high: 1.0, log: true}}]",
    f"training.epochs={EPOCHS}",
    "search.trials=16",
    "search.scheduler={name: halving, rungs: [0.17, 0.5]}",
    "finalists.max=1",
]
RUNGS = (1, 3)
COLUMNS = ["trial", "method", "width", "lr", "status", "epochs", "validation_accuracy"]


def words(name: str, *more: str) -> list[str]:
    changes = [f"study.name={name}", *CHANGES]
    return ["run", "space.yaml", *(w for change in changes for w in ("--set", change)), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("scheduling"))


@pytest.fixture(scope="module")
def _ray(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with ray_session(load_spec(Path("space.yaml")), None):
            yield


@pytest.fixture
def call_in_folder(
    _ray: None, folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> CallCommand:
    monkeypatch.chdir(folder)
    return call_command


def test_rungs_end_trials_alike_in_a_whole_search_and_in_one_that_was_killed(
    folder: Path, call_in_folder: CallCommand
) -> None:
    code, out, err = call_in_folder(*words("whole"))
    assert (code, err) == (0, "")
    whole = kdsearch.Study.open(folder / "studies" / "whole")
    trials = whole.trials
    stopped = trials[trials["status"] == "stopped"]
    assert len(stopped) >= 4
    assert set(stopped["epochs"]) <= set(RUNGS)
    assert set(trials["status"]) == {"complete", "stopped"}
    assert set(trials[trials["status"] == "complete"]["epochs"]) == {EPOCHS}
    assert stopped["validation_accuracy"].isna().all()
    assert not stopped["front"].any()
    assert f"of 16 complete, {len(stopped)} stopped early, 0 running, 0 failed" in out
    assert "stopped after 1 of 6 epochs, validation accuracy" in out
    check_records(whole, stopped)

    file = folder / "studies" / "cut" / "trials.jsonl"
    with start(folder, words("cut")) as process:
        wait_until(lambda: lines(file) >= 9, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert lines(file) < 16
    code, _, err = call_in_folder(*words("cut", "--resume"))
    assert (code, err) == (0, "")
    cut = kdsearch.Study.open(folder / "studies" / "cut")
    pd.testing.assert_frame_equal(cut.trials[COLUMNS], trials[COLUMNS])
    pd.testing.assert_frame_equal(cut.front, whole.front)


def check_records(study: kdsearch.Study, stopped: pd.DataFrame) -> None:
    """MLflow says of each trial that was stopped how far it came, and holds its rungs' scores."""
    known = study.state["mlflow"]
    client = MlflowClient(f"sqlite:///{(study.directory.path.parents[1] / 'mlflow.db').resolve()}")
    runs = client.search_runs(
        [known["experiment_id"]],
        f"tags.`mlflow.parentRunId` = '{known['run_id']}' and tags.phase = 'search'",
    )
    told = {int(run.data.tags["number"]): run for run in runs}
    assert len(told) == 16
    assert {number for number, run in told.items() if "stopped" in run.data.tags} == set(
        stopped["trial"]
    )
    for row in stopped.itertuples():
        run = told[row.trial]
        assert run.info.status == "FINISHED"
        assert run.data.tags["stopped"] == f"after {row.epochs} epochs"
        history = client.get_metric_history(run.info.run_id, "validation_averaged_accuracy")
        assert [point.step for point in history] == [r for r in RUNGS if r <= row.epochs]
