"""The recorder against what MlflowClient reads back, with a sound store and with one that fails."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from kdsearch.errors import StoreError
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import ModelConfig
from kdsearch.tracking import recorder as module
from kdsearch.tracking.lookup import search_runs
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store
from kdsearch.training.teacher_store import StoredTeacher
from tests.tracking.playing import ENDED, begin, finish, flaky, nested, play, statuses, wait_until

SCORELESS = ("epoch", "loss", "accuracy", "nll", "lr", "seconds")
"""What an epoch's report has at least."""


def test_every_trial_becomes_a_nested_run(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    runs = nested(store.client, study)
    assert set(runs) == set(range(6))
    assert runs[4].info.status == "FAILED"
    assert runs[4].data.tags["reason"] == "the loss became nan in epoch 3"
    assert runs[0].data.params["temperature"] == "4"
    assert runs[0].data.metrics["size/parameters"] == 100
    points = store.client.get_metric_history(runs[3].info.run_id, "search/accuracy")
    assert [(point.step, point.value) for point in points] == [
        (epoch["epoch"], epoch["accuracy"]) for epoch in records[3].epochs
    ]
    front = {number for number, run in runs.items() if run.data.tags.get("front") == "true"}
    assert front == set(study.front["trial"])


def test_the_scores_of_every_epoch_are_metrics_of_its_run(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    """Of a record without them, as of a teacher or of old, the others are written."""
    plain = [{key: epoch[key] for key in SCORELESS} for epoch in records[1].epochs]
    records[1] = records[1].model_copy(update={"epochs": tuple(plain)})
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    recorder.study_stopped(study, "failed", "made up")
    runs = nested(store.client, study)
    for key in ("nll", "ece", "agreement", "kl"):
        points = store.client.get_metric_history(runs[3].info.run_id, f"search/{key}")
        told = [(point.step, point.value) for point in points]
        expected = [(epoch["epoch"], pytest.approx(epoch[key])) for epoch in records[3].epochs]
        assert told == expected, key
    assert set(runs[0].data.metrics) - set(runs[1].data.metrics) == {
        "search/ece",
        "search/agreement",
        "search/kl",
    }


def test_the_report_is_in_the_runs_of_the_front_and_the_files_in_the_parent(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    finish(recorder, study)
    assert recorder.failure is None
    runs = nested(store.client, study)
    for row in study.front.to_dict("records"):
        found = runs[row["trial"]].data.metrics
        for name in ("accuracy", "nll", "ece", "agreement", "kl"):
            assert found[f"test/{name}"] == pytest.approx(row[f"test_{name}"], abs=5e-5), name
            half = row[f"test_{name}_ci"]
            assert found[f"test/{name}_ci"] == pytest.approx(half, abs=5e-5), name
    parent = study.state["mlflow"]["run_id"]
    names = {item.path for item in store.client.list_artifacts(parent)}
    assert {"front.csv", "front.json", "ranking.csv", "ranking.json", "trials.csv"} <= names


def test_a_store_that_fails_for_a_while_loses_nothing(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    store, client = flaky(store)
    recorder = Recorder(store)
    recorder.study_started(study)
    client.go_away()
    play(recorder, records)
    wait_until(lambda: recorder.failure is not None)
    assert recorder.failure == "the store is away"
    client.come_back()
    finish(recorder, study)
    assert recorder.failure is None
    assert statuses(client, study) == ENDED


def told_at_the_end(recorder: Recorder, study: Study, capsys: pytest.CaptureFixture[str]) -> str:
    """What is told of a study that ends well, of which the store has not taken all."""
    recorder.study_finished(study)
    told = capsys.readouterr().err
    assert f"kdsearch sync {study.directory.path} writes the rest" in told
    return told


@pytest.mark.parametrize("end", ["finished", "stopped"])
def test_a_store_that_stays_away_is_asked_once_at_the_end(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    end: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 60)
    store, client = flaky(store)
    recorder = Recorder(store)
    recorder.study_started(study)
    client.go_away()
    client.calls.clear()
    play(recorder, records)
    if end == "finished":
        assert "the store is away" in told_at_the_end(recorder, study, capsys)
    else:
        recorder.study_stopped(study, "failed", "made up")
    assert recorder.failure == "the store is away"
    assert len(client.calls) == 1


def test_a_flush_ends_at_its_first_failure_and_the_halt_with_it(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study stops while the thread waits for a dead server: that try is the last."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    store, client = flaky(store)
    recorder = Recorder(store)
    recorder.study_started(study)
    trying, stopped = threading.Event(), threading.Event()

    def hang(name: str, *arguments: object, **options: object) -> bool:
        trying.set()
        return stopped.wait(20)

    client.calls.clear()
    client.refuses = hang
    play(recorder, records)
    assert trying.wait(20)
    threading.Timer(0.2, stopped.set).start()
    recorder.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    assert len(client.calls) == 1
    assert recorder.failure == "the store is away"


@pytest.mark.parametrize("end", ["finished", "stopped"])
def test_a_store_that_is_slow_does_not_hold_up_the_end(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    end: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request is answered, but after seconds."""
    monkeypatch.setattr(module, "END_SECONDS", 0.3)
    store, client = flaky(store)
    recorder = Recorder(store)
    recorder.study_started(study)
    ended = threading.Event()

    def slow(name: str, *arguments: object, **options: object) -> bool:
        ended.wait(5)
        return ended.is_set()

    client.refuses = slow
    play(recorder, records)
    begun = time.monotonic()
    if end == "finished":
        assert "(it took longer than 0.3 s)" in told_at_the_end(recorder, study, capsys)
    else:
        recorder.study_stopped(study, "interrupted", "made up")
    assert time.monotonic() - begun < 60
    ended.set()


def test_a_trial_that_the_store_never_takes_keeps_back_no_other(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    store, client = flaky(store)

    def refuses_the_first(name: str, *arguments: object, **options: object) -> bool:
        tags = options.get("tags")
        return name == "create_run" and isinstance(tags, dict) and tags.get("number") == "0"

    recorder = Recorder(store)
    recorder.study_started(study)
    client.refuses = refuses_the_first
    play(recorder, records)
    wait_until(lambda: {1, 2, 3, 4, 5} == set(nested(client, study)))
    recorder.study_stopped(study, "failed", "made up")
    assert recorder.failure == "the store is away"


def test_a_run_that_was_made_but_not_described_is_not_made_twice(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)
    store, client = flaky(store)
    recorder = Recorder(store)
    recorder.study_started(study)
    client.refuses = lambda name, *arguments, **options: name == "log_batch"
    play(recorder, records[:1])
    wait_until(lambda: client.calls.count("log_batch") >= 3)
    client.come_back()
    recorder.study_stopped(study, "failed", "made up")
    assert recorder.failure is None
    runs = nested(client, study)
    assert set(runs) == {0}
    assert runs[0].data.params["temperature"] == "4"
    assert runs[0].info.status == "FINISHED"


def test_the_search_never_waits_for_the_store(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    store, client = flaky(store)
    callers = set()

    def note(name: str, *arguments: object, **options: object) -> bool:
        callers.add(threading.current_thread().name)
        return False

    recorder = Recorder(store)
    recorder.study_started(study)
    client.refuses = note
    teacher = StoredTeacher("key", ModelConfig(family="convnet"), Path("teacher.safetensors"), {})
    recorder.teacher_ready(teacher, trained=True)
    play(recorder, records)
    recorder._end(recorder._thread, lambda: None)
    assert callers == {"mlflow-recorder"}
    (run,) = search_runs(store, study, "tags.kind = 'teacher'")
    assert run.data.tags["key"] == "key"
    assert run.data.tags["trained"] == "true"


def test_a_study_that_stops_closes_the_runs_of_its_open_trainings(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records[:1])
    begin(recorder, records[3], 2)
    recorder.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    status = statuses(store.client, study)
    assert status == {0: "FINISHED", 3: "KILLED"}
    parent = store.client.get_run(study.state["mlflow"]["run_id"])
    assert parent.info.status == "KILLED"
    assert parent.data.tags["reason"] == "KeyboardInterrupt()"


@pytest.mark.parametrize(
    ("error", "told"),
    [(MlflowException("no room\nat all"), "(no room)"), (TimeoutError(), "(TimeoutError)")],
)
def test_a_store_that_refuses_the_study_is_told_in_one_sentence(
    study: Study, store: Store, error: Exception, told: str
) -> None:
    store, client = flaky(store)
    client.error = error
    client.go_away()
    recorder = Recorder(store)
    with pytest.raises(StoreError) as caught:
        recorder.study_started(study)
    assert told in str(caught.value)
    assert "tracking.uri" in str(caught.value)
    assert "\n" not in str(caught.value)
    client.calls.clear()
    recorder.study_stopped(study, "failed", str(caught.value))
    assert client.calls == []


def test_no_password_is_kept_or_told(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, client = flaky(replace(store, uri="http://me:secret@mlflow:5000"))
    client.error = MlflowException("API request to http://me:secret@mlflow:5000/api failed")
    recorder = Recorder(store)
    recorder.study_started(study)
    assert study.state["mlflow"]["uri"] == "http://me:***@mlflow:5000"
    client.go_away()
    play(recorder, records)
    recorder.study_finished(study)
    told = capsys.readouterr().err
    assert "written to http://me:***@mlflow:5000 (API request to http://me:***@mlflow" in told
    assert "secret" not in told + (study.directory.path / "study.json").read_text()


def test_artifacts_lie_beside_the_database(study: Study, store: Store, tmp_path: Path) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    recorder.study_stopped(study, "failed", "made up")
    assert list((tmp_path / "mlruns").rglob("spec.yaml"))
