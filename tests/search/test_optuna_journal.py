"""The copy of a study for optuna-dashboard: read back by Optuna's own public functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from kdsearch.execution.observers import Observer
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.search.optuna_study import write_optuna_journal
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import make_plan
from kdsearch.space.space import Space
from kdsearch.spec import StudySpec, parse_spec
from tests.search import halved
from tests.search.test_loop import kept, last, make_jobs

STATES = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "paused": TrialState.RUNNING,
    "running": TrialState.RUNNING,
}


def read_by_optuna(path: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return parse_spec(spec_text, [*halved.WORDS, "search.require={accuracy: 0.85}"])


@pytest.fixture
def records(spec: StudySpec) -> dict[int, TrialRecord]:
    """Of every status: those that wait below number 20 are stopped."""
    running: list[TrialRecord] = []
    ended = halved.drive(make_jobs(spec)[0], 2, last, 50, running)
    found = {record.number: kept(record) for record in [*ended, *running]}
    for number, record in found.items():
        if record.status == "paused" and number < 20:
            found[number] = record.model_copy(update={"status": "stopped"})
    assert {record.status for record in found.values()} == set(STATES)
    return found


def write(path: Path, spec: StudySpec, records: dict[int, TrialRecord]) -> None:
    write_optuna_journal(path, spec.study.name, Objectives.of(spec), Space(spec), records)


def test_optuna_reads_every_trial_under_our_number(
    spec: StudySpec, records: dict[int, TrialRecord], tmp_path: Path
) -> None:
    del records[7]
    write(tmp_path / "optuna.journal", spec, dict(reversed(records.items())))
    study = read_by_optuna(tmp_path / "optuna.journal", "tiny")
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == ["validation accuracy", "log10 parameters"]
    assert [trial.number for trial in study.trials] == list(range(max(records) + 1))
    assert study.trials[7].state == TrialState.WAITING
    for number, record in records.items():
        trial = study.trials[number]
        assert trial.state == STATES[record.status]
        assert trial.params == record.parameters
        assert trial.user_attrs["epochs"] == len(record.epochs)
        assert trial.user_attrs.get("reason") == record.reason
        if record.status == "complete":
            size = np.log10(record.parameter_count)
            assert trial.values == pytest.approx([record.epochs[-1]["accuracy"], size])
            assert trial.constraints == {
                "accuracy": pytest.approx(0.85 - record.epochs[-1]["accuracy"])
            }
        else:
            assert trial.values is None
            assert trial.constraints == {}


def test_what_a_file_held_before_is_replaced(
    spec: StudySpec, records: dict[int, TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / "optuna.journal"
    path.write_bytes(b'{"op_code":4,"wor')
    for count in (0, 3, 5):
        write(path, spec, {number: records[number] for number in range(count)})
        assert len(read_by_optuna(path, "tiny").trials) == count
    assert [file.name for file in tmp_path.iterdir()] == ["optuna.journal"]


def test_one_that_cannot_be_written_leaves_the_old_one(
    spec: StudySpec, records: dict[int, TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / "optuna.journal"
    write(path, spec, {0: records[0]})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="method"):
        write(path, spec, {0: records[0].model_copy(update={"parameters": {}})})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["optuna.journal"]


class Warned(Observer):
    """Notes what it is warned of, and may have an error of its own then."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[str] = []
        self.error = error

    def warned(self, message: str) -> None:
        self.told.append(message)
        if self.error is not None:
            raise self.error


def test_a_copy_that_cannot_be_written_is_told_and_hides_no_error(
    spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder lies where the copy is to be."""
    observer = Warned()
    run = StudyRun(make_plan(parse_spec(spec_text)), observer)
    run.directory.create(run.plan.spec)
    run.directory.update(state="running")
    run.directory.optuna.mkdir()
    runner: Any = None
    monkeypatch.setattr(run, "_run", lambda *_: None)
    run._search(runner)
    (told,) = observer.told
    assert "optuna.journal, a copy of the trials for optuna-dashboard, cannot be written" in told

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "_run", broken)
    run.observer = observer = Warned(ConnectionError("the display is gone"))
    with pytest.raises(OSError, match="No space left on device"):
        run._search(runner)
    assert observer.told == [told]
