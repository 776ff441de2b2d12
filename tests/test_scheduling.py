"""Trials that are paused at rungs, on real Ray Tune: alike at any speed and after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import kdsearch
from tests.command_line import CallCommand
from tests.drivers import Start, drivers, kill_when
from tests.fronts import assert_fronts_alike
from tests.user_study import TAUGHT, lines, make_folder, train_teacher

pytestmark = pytest.mark.slow

EPOCHS = 6
CHANGES = [
    TAUGHT,
    "data.limit=600",
    "methods=[none, kd]",
    "students=[{family: convnet, width: {low: 0.2, high: 1.0, log: true}}]",
    f"training.epochs={EPOCHS}",
    "search.trials=16",
    "search.scheduler={name: halving, rungs: [0.17, 0.5], reduction: 2}",
    "finalists.max=1",
    "finalists.int8=true",
]
ONE = "resources.concurrent=1"
RUNGS = (1, 3)
COLUMNS = ["trial", "method", "width", "lr", "status", "epochs", "validation_accuracy"]


def words(name: str, *more: str) -> list[str]:
    changes = [f"study.name={name}", *CHANGES]
    return ["run", "space.yaml", *(w for change in changes for w in ("--set", change)), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_folder(tmp_path_factory.mktemp("scheduling"))
    train_teacher(path)
    return path


@pytest.fixture(scope="module")
def start(folder: Path) -> Iterator[Start]:
    with drivers(folder) as started:
        yield started


@pytest.fixture
def call_in_folder(
    start: Start, folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> CallCommand:
    monkeypatch.chdir(folder)
    return call_command


def test_the_best_go_on_alike_in_a_whole_search_and_in_one_that_was_killed(
    folder: Path, call_in_folder: CallCommand, start: Start
) -> None:
    code, out, err = call_in_folder(*words("whole"))
    assert (code, err) == (0, "")
    whole = kdsearch.Study.open(folder / "studies" / "whole")
    trials = whole.trials
    stopped = trials[trials["status"] == "stopped"]
    assert len(stopped) >= 4
    assert set(stopped["epochs"]) <= set(RUNGS)
    assert set(trials["status"]) == {"complete", "stopped"}
    complete = trials[trials["status"] == "complete"]
    assert set(complete["epochs"]) == {EPOCHS}
    assert len(complete) >= 2
    assert stopped["validation_accuracy"].isna().all()
    assert not stopped["front"].any()
    assert f"of 16 complete, {len(stopped)} stopped early, 0 running" in out
    assert "paused after 1 of 6 epochs, validation accuracy" in out
    assert len(list(whole.directory.tune.rglob("checkpoint_*"))) == len(stopped)
    check_records(whole, stopped)
    check_whole_trainings(whole, folder, call_in_folder)

    file = folder / "studies" / "cut" / "trials.jsonl"
    assert kill_when(lambda: lines(file) >= 14, start("cut", False, *CHANGES, ONE))
    cut = kdsearch.Study.open(folder / "studies" / "cut")
    waiting = [r for r in cut.directory.trials.read().values() if r.status == "paused"]
    assert waiting
    assert {len(record.epochs) for record in waiting} <= set(RUNGS)
    checkpoints = [cut.directory.tune / str(record.checkpoint) for record in waiting]
    assert all((folder / "training.pt").is_file() for folder in checkpoints)
    code, _, err = call_in_folder(*words("cut", "--set", ONE, "--resume"))
    assert (code, err) == (0, "")
    stages = [(each.number, len(each.epochs), each.status) for each in cut.directory.trials.lines()]
    assert len(stages) == len(set(stages))
    pd.testing.assert_frame_equal(cut.trials[COLUMNS], trials[COLUMNS])
    assert_fronts_alike(cut.front, whole.front)


def check_whole_trainings(whole: kdsearch.Study, folder: Path, call: CallCommand) -> None:
    """A trial that was put aside twice has the reports of one that was trained in one go.

    The members of its front, and so some that came to their end, are tried first in another study.
    """
    members = whole.members()
    changes = [
        "search.scheduler.name=none",
        f"search.trials={2 + len(members)}",
        "search.warm_start=[studies/whole]",
        ONE,
    ]
    code, _, err = call(*words("plain"), *(w for change in changes for w in ("--set", change)))
    assert (code, err) == (0, "")
    records = sorted(
        kdsearch.Study.open(folder / "studies" / "plain").records(), key=lambda each: each.number
    )
    tried = [each.parameters for each in records[: len(members)]]
    assert all(each.parameters in tried for each in members)
    plain = {each.task.key: each for each in records}
    compared = 0
    for record in whole.records():
        other = plain.get(record.task.key)
        if other is not None:
            compared += len(record.epochs)
            assert [report(each) for each in record.epochs] == [
                report(each) for each in other.epochs[: len(record.epochs)]
            ]
    assert compared > 2 * EPOCHS


def report(epoch: dict[str, float]) -> dict[str, float]:
    """What an epoch says, but the time that it took and the averaged weights."""
    return {
        name: value
        for name, value in epoch.items()
        if name != "seconds" and not name.startswith("averaged_")
    }


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
        history = client.get_metric_history(run.info.run_id, "search/averaged_accuracy")
        assert [point.step for point in history] == [r for r in RUNGS if r <= row.epochs]
