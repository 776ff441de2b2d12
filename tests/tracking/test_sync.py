"""MLflow's copy made again from a study's files, against what an unbroken study left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from kdsearch.api import sync_study
from kdsearch.data import Dataset
from kdsearch.errors import RunError, StoreError, StudyError
from kdsearch.models import build_network
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from kdsearch.tracking.uri import tracking_uri
from kdsearch.training.teacher_store import StoredTeacher, TeacherStore, teacher_key, teacher_task
from tests.tracking.conftest import history
from tests.tracking.playing import begin, copy_of, finish, nested, play, steps


@pytest.fixture
def teacher(study: Study, digits: Dataset, records: list[TrialRecord]) -> StoredTeacher:
    """The study's teacher with the history of its training, kept as a study keeps it."""
    task = teacher_task(study.spec)
    key = teacher_key(task, digits)
    store = TeacherStore(study.directory.path.parent / ".teachers")
    network = build_network(task.model, digits.inputs, len(digits.classes))
    kept = store.keep(key, network, task, {"history": list(history(records[0], 4).epochs)})
    told = study.state["teachers"][TEACHER] | {
        "key": key,
        "weights": str(kept.weights),
        "trained": True,
    }
    study.directory.update(teachers={TEACHER: told})
    return kept


def run_unbroken(
    store: Store, study: Study, records: list[TrialRecord], teacher: StoredTeacher
) -> dict[str, Any]:
    """Let a study run from its start to its end before a recorder; what it left."""
    recorder = Recorder(store)
    recorder.study_started(study)
    recorder.teacher_ready(teacher, trained=True)
    play(recorder, records)
    judged = list(study.directory.finalists.read().values())
    recorder.phase_started("finalists", len(judged), [])
    for record in judged:
        recorder.trial_ended(record)
    finish(recorder, study)
    assert recorder.failure is None
    study.directory.update(state="finished", reason=None, phase="done")
    return copy_of(study, store.uri)


def lose(store: Store, empty: Path) -> None:
    """Put an empty database in the place of the store's."""
    file = Path(store.uri.removeprefix("sqlite:///"))
    shutil.copy(empty, file)
    shutil.rmtree(file.parent / "mlruns")


def test_a_store_that_was_lost_holds_the_same_again(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    teacher: StoredTeacher,
    empty_database: Path,
) -> None:
    before = run_unbroken(store, study, records, teacher)
    assert len(before) == 2 + 6 + len(study.directory.finalists.read())
    first = study.state["mlflow"]["run_id"]
    lose(store, empty_database)
    assert sync_study(study.directory.path) == store.uri
    assert study.state["mlflow"]["run_id"] != first
    assert copy_of(study, store.uri) == before
    sync_study(study.directory.path)
    assert copy_of(study, store.uri) == before


def test_a_store_that_has_a_part_gets_the_rest(
    study: Study, store: Store, records: list[TrialRecord], teacher: StoredTeacher
) -> None:
    """Some runs are deleted, one was never closed, and one has a part of its epochs alone."""
    before = run_unbroken(store, study, records, teacher)
    client, parent = store.client, study.state["mlflow"]["run_id"]
    runs = nested(client, study)
    for number in (0, 3):
        client.delete_run(runs[number].info.run_id)
    recorder = Recorder(store)
    recorder.study_started(study)
    begin(recorder, records[3], 1)
    recorder._end(recorder._thread, lambda: None)
    assert client.get_run(parent).info.status == "RUNNING"
    sync_study(study.directory.path)
    assert copy_of(study, store.uri) == before


def test_another_store_gets_the_same(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    teacher: StoredTeacher,
    empty_database: Path,
    tmp_path: Path,
) -> None:
    """And each store goes on with its own run afterwards."""
    before = run_unbroken(store, study, records, teacher)
    (tmp_path / "other").mkdir()
    shutil.copy(empty_database, tmp_path / "other" / "mlflow.db")
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    assert sync_study(study.directory.path, other) == other
    assert copy_of(study, other) == before
    sync_study(study.directory.path)
    sync_study(study.directory.path, other)
    assert copy_of(study, other) == copy_of(study, store.uri) == before


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("interrupted", "KeyboardInterrupt()", "KILLED"),
        ("failed", "made up", "FAILED"),
        ("running", None, "KILLED"),  # its process was killed
    ],
)
def test_a_study_that_was_cut_off_is_there_as_far_as_it_came(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    state: str,
    reason: str | None,
    status: str,
) -> None:
    study.directory.update(state=state, reason=reason, teachers={})
    study.directory.finalists.path.unlink()
    waiting = records[5].model_copy(update={"status": "paused", "epochs": records[5].epochs[:2]})
    study.directory.trials.path.write_bytes(b"")
    for record in [*records[:2], records[4], waiting]:
        study.directory.trials.append(record)
    large = {"size": {"parameters": 100_000, "macs": 200_000, "bytes": 400_000}}
    study.directory.update(teachers={TEACHER: large | {"key": "given", "weights": "t.pt"}})
    sync_study(study.directory.path)
    parent = store.client.get_run(study.state["mlflow"]["run_id"])
    assert parent.info.status == status
    assert parent.data.tags["reason"] == (reason or "the study's process ended without a word")
    assert steps(store.client, parent.info.run_id, "hypervolume") == [1, 2]
    runs = nested(store.client, study)
    assert {number: run.info.status for number, run in runs.items()} == {
        0: "FINISHED",
        1: "FINISHED",
        4: "FAILED",
        5: "KILLED",
    }
    assert steps(store.client, runs[5].info.run_id, "train/loss") == [1, 2]


def test_what_cannot_be_copied_is_one_sentence(
    study: Study, store: Store, records: list[TrialRecord], teacher: StoredTeacher, tmp_path: Path
) -> None:
    run_unbroken(store, study, records, teacher)
    with pytest.raises(StudyError, match="there is no study in"):
        sync_study(tmp_path / "absent")
    with pytest.raises(StoreError, match="cannot be reached"):
        sync_study(study.directory.path, "http://127.0.0.1:1")
    with study.directory.locked(), pytest.raises(StudyError, match="another process is running"):
        sync_study(study.directory.path)
    number = study.finalists()[0].trial.number
    folder = study.directory.student(number)
    folder.mkdir(parents=True)
    (folder / "student.json").write_text('{"sha256": "0"}')
    (folder / "student.safetensors").write_bytes(b"flipped")
    with pytest.raises(RunError, match="their checksum is not that of"):
        sync_study(study.directory.path)


def test_the_store_of_the_spec_counts_first(study: Study, store: Store) -> None:
    assert tracking_uri(study.spec.tracking) == store.uri
    study.directory.update(state="interrupted", teachers={}, mlflow={"uri": "sqlite:///x.db"})
    for journal in (study.directory.trials, study.directory.finalists):
        journal.path.unlink()
    assert sync_study(study.directory.path) == store.uri
