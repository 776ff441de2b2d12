"""A recorder that goes on where an earlier one was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.errors import StoreError
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import ModelConfig
from kdsearch.spec.sections import TrackingSection
from kdsearch.tracking import recorder as recorder_module
from kdsearch.tracking import runs as runs_module
from kdsearch.tracking import writer as writer_module
from kdsearch.tracking.lineage import Lineage
from kdsearch.tracking.lookup import search_runs
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.runs import create_nested
from kdsearch.tracking.store import Store, open_store
from kdsearch.training.teacher_store import StoredTeacher
from tests.tracking.conftest import history
from tests.tracking.playing import begin, finish, flaky, nested, play, statuses, steps, wait_until


def a_teacher(record: TrialRecord) -> StoredTeacher:
    facts = {"history": list(history(record, 5).epochs)}
    return StoredTeacher("key", ModelConfig(family="convnet"), Path("teacher.safetensors"), facts)


def test_a_resumed_study_writes_nothing_twice(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    first.teacher_ready(a_teacher(records[0]), trained=True)
    play(first, records[:3])
    begin(first, records[3], 2)
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    client = store.client
    parent = study.state["mlflow"]["run_id"]

    second = Recorder(store)
    second.study_started(study)
    assert client.get_run(parent).info.status == "RUNNING"
    second.teacher_ready(a_teacher(records[0]), trained=False)
    second.phase_started("search", 6, records[:3])
    for record in records[3:]:
        second.trial_ended(record)
    finish(second, study)
    assert second.failure is None
    run = client.get_run(parent)
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
    (taught,) = search_runs(store, study, "tags.kind = 'teacher'")
    assert taught.data.tags["trained"] == "true"
    assert taught.info.status == "FINISHED"
    assert steps(client, taught.info.run_id, "train/loss") == [1, 2, 3, 4, 5]
    assert [record.status for record in records].count("complete") == 5
    assert steps(client, parent, "hypervolume") == [1, 2, 3, 4, 5]
    trials = nested(client, study)
    assert set(trials) == set(range(6))
    for number, trial in trials.items():
        assert steps(client, trial.info.run_id, "train/loss") == [1, 2, 3], number


def test_a_training_that_was_cut_off_runs_again_and_ends(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    begin(first, records[3], 1)
    begin(first, records[4], 1)
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    second = Recorder(store)
    second.study_started(study)
    begin(second, records[3], 2)
    second.trial_ended(records[4])
    second._end(second._thread, lambda: None)
    assert statuses(store.client, study) == {3: "RUNNING", 4: "FAILED"}

    third = Recorder(store)
    third.study_started(study)
    third.trial_ended(records[3])
    third.study_stopped(study, "failed", "made up")
    assert nested(store.client, study)[3].info.status == "FINISHED"


@pytest.mark.parametrize("loss", ["deleted", "other experiment"])
def test_a_parent_that_is_not_there_is_made_anew_with_all_its_trials(
    study: Study, store: Store, records: list[TrialRecord], loss: str
) -> None:
    first = Recorder(store)
    first.study_started(study)
    play(first, records[:2])
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    known = study.state["mlflow"]
    if loss == "deleted":
        store.client.delete_run(known["run_id"])
    else:
        store = open_store(TrackingSection(uri=store.uri, experiment="another"))
    second = Recorder(store)
    second.study_started(study)
    second.phase_started("search", 2, records[:2])
    second.study_stopped(study, "failed", "made up")
    now = study.state["mlflow"]
    assert now["run_id"] != known["run_id"]
    assert now["experiment_id"] == store.experiment_id
    assert store.client.get_run(now["run_id"]).data.params["trials"] == str(
        study.spec.search.trials
    )
    assert set(nested(store.client, study)) == {0, 1}
    assert steps(store.client, now["run_id"], "hypervolume") == [1, 2]


def test_a_study_that_forgot_its_run_finds_it_in_the_store(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    play(first, records[:2])
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    known = study.state["mlflow"]
    study.directory.update(mlflow=None)
    second = Recorder(store)
    second.study_started(study)
    second.phase_started("search", 2, records[:2])
    second.study_stopped(study, "failed", "made up")
    assert study.state["mlflow"] == known
    assert set(nested(store.client, study)) == {0, 1}


def test_a_run_that_a_lost_answer_made_twice_is_there_once_after_a_resume(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    create_nested(store, study.state["mlflow"]["run_id"], study, records[0], Lineage(study))
    play(first, records[:1])
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    second = Recorder(store)
    second.study_started(study)
    second.study_stopped(study, "failed", "made up")
    assert statuses(store.client, study) == {0: "FINISHED"}


def test_a_run_that_a_lost_answer_made_twice_is_there_once_at_the_end(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records[:1])
    wait_until(lambda: not recorder._pending)
    create_nested(store, study.state["mlflow"]["run_id"], study, records[0], Lineage(study))
    play(recorder, records[1:])
    finish(recorder, study)
    assert recorder.failure is None
    assert {run.info.status for run in nested(store.client, study).values()} == {
        "FINISHED",
        "FAILED",
    }


def test_a_failed_training_that_is_tried_again_is_no_longer_failed(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    play(first, records[4:5])
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    better = history(records[4], 5).model_copy(update={"status": "complete", "reason": None})
    second = Recorder(store)
    second.study_started(study)
    begin(second, better, 0)
    second.trial_ended(better)
    second.study_stopped(study, "failed", "made up")
    (run,) = nested(store.client, study).values()
    assert run.info.status == "FINISHED"
    assert "reason" not in run.data.tags
    assert steps(store.client, run.info.run_id, "train/loss") == [1, 2, 3, 4, 5]


def test_a_parent_that_was_made_but_not_described_is_described_by_the_next(
    study: Study, store: Store
) -> None:
    cut, client = flaky(store)
    client.refuses = lambda name, *arguments, **options: name == "log_batch"
    with pytest.raises(StoreError):
        Recorder(cut).study_started(study)
    known = study.state["mlflow"]
    second = Recorder(store)
    second.study_started(study)
    second.study_stopped(study, "failed", "made up")
    assert study.state["mlflow"] == known
    assert "seed" in store.client.get_run(known["run_id"]).data.params


def test_much_is_written_in_batches_that_mlflow_takes(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of batches of at most 18 numbers, the third fails, and nothing is there twice after it."""
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", 60)
    monkeypatch.setattr(runs_module, "BATCH", 18)
    monkeypatch.setattr(writer_module, "BATCH", 18)
    store, client = flaky(store)
    sizes = []

    def third_fails(name: str, *arguments: object, **options: object) -> bool:
        found = options.get("metrics")
        if isinstance(found, list):
            sizes.append(len(found))
        return isinstance(found, list) and len(sizes) == 3

    recorder = Recorder(store)
    recorder.study_started(study)
    client.refuses = third_fails
    recorder.teacher_ready(a_teacher(records[0]), trained=True)
    for number in range(30):
        recorder.trial_ended(records[0].model_copy(update={"number": number}))
    recorder._end(recorder._thread, lambda: None)
    assert recorder.failure == "the store is away"
    recorder._attempt(recorder._flush)
    recorder.study_stopped(study, "failed", "made up")
    assert recorder.failure is None
    assert max(sizes) == 18
    parent = study.state["mlflow"]["run_id"]
    (taught,) = search_runs(store, study, "tags.kind = 'teacher'")
    assert steps(client, taught.info.run_id, "train/loss") == [1, 2, 3, 4, 5]
    assert steps(client, parent, "hypervolume") == list(range(1, 31))


def test_trials_that_left_the_front_lose_its_tags(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    """The study is extended by a trial that beats all but the smallest."""

    def tagged(tag: str) -> set[int]:
        runs = nested(store.client, study)
        return {number for number, run in runs.items() if run.data.tags.get(tag) == "true"}

    first = Recorder(store)
    first.study_started(study)
    play(first, records)
    finish(first, study)
    assert tagged("front") == {0, 3}

    better = history(records[3], 3).model_copy(
        update={"number": 6, "parameter_count": 200, "macs": 400, "bytes": 800}
    )
    study.directory.trials.append(better)
    second = Recorder(store)
    second.study_started(study)
    second.phase_started("search", 7, records)
    second.trial_ended(better)
    finish(second, study)
    assert second.failure is None
    assert tagged("front") == {0, 6}
    parent = study.state["mlflow"]["run_id"]
    names = {item.path for item in store.client.list_artifacts(parent)}
    assert "front.csv" in names
    assert "front_table.json" not in names
