"""The recorder against what MlflowClient reads back, with a sound store and with one that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from kdsearch.export.report import write_tables
from kdsearch.search.record import TrialRecord
from kdsearch.search.study import Study
from kdsearch.tracking.figures import write_figures
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store, open_store


@pytest.fixture
def store(study: Study) -> Store:
    return open_store(study.spec.tracking)


def play(recorder: Recorder, records: list[TrialRecord]) -> None:
    recorder.phase_started("search", len(records), [])
    for record in records:
        running = record.model_copy(update={"status": "running", "reason": None})
        recorder.trial_started(running.model_copy(update={"epochs": ()}))
        recorder.trial_epoch(running.model_copy(update={"epochs": record.epochs[:1]}))
        recorder.trial_ended(record)


def nested(client: MlflowClient, study: Study) -> dict[int, object]:
    known = study.state["mlflow"]
    runs = client.search_runs(
        [known["experiment_id"]], f"tags.`mlflow.parentRunId` = '{known['run_id']}'"
    )
    return {int(run.data.tags["number"]): run for run in runs}


def test_every_trial_becomes_a_nested_run(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    play(recorder, records)
    write_tables(study)
    write_figures(study)
    recorder.study_finished(study)
    assert recorder.failure is None
    client = MlflowClient(store.uri)
    runs = nested(client, study)
    assert set(runs) == set(range(6))
    assert runs[4].info.status == "FAILED"
    assert runs[4].data.tags["reason"] == "the loss became nan in epoch 3"
    assert runs[0].data.params["temperature"] == "4.0"
    assert runs[0].data.metrics["parameters"] == 100
    points = client.get_metric_history(runs[3].info.run_id, "validation_accuracy")
    assert [(point.step, point.value) for point in points] == [
        (epoch["epoch"], epoch["accuracy"]) for epoch in records[3].epochs
    ]
    front = {number for number, run in runs.items() if run.data.tags.get("front") == "true"}
    assert front == {0, 1, 3}


def test_a_resumed_study_writes_nothing_twice(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    first = Recorder(store)
    first.study_started(study)
    play(first, records[:3])
    first.trial_started(records[3].model_copy(update={"status": "running", "epochs": ()}))
    first.trial_epoch(
        records[3].model_copy(update={"status": "running", "epochs": records[3].epochs[:2]})
    )
    first.study_stopped(study, "interrupted", "KeyboardInterrupt()")
    client = MlflowClient(store.uri)
    parent = study.state["mlflow"]["run_id"]
    assert client.get_run(parent).info.status == "KILLED"

    second = Recorder(store)
    second.study_started(study)
    second.phase_started("search", 6, records[:3])
    for record in records[3:]:
        second.trial_ended(record)
    write_tables(study)
    write_figures(study)
    second.study_finished(study)
    assert second.failure is None
    assert client.get_run(parent).info.status == "FINISHED"
    assert "reason" not in client.get_run(parent).data.tags
    runs = nested(client, study)
    assert set(runs) == set(range(6))
    for number, run in runs.items():
        steps = [p.step for p in client.get_metric_history(run.info.run_id, "train_loss")]
        assert steps == [1, 2, 3], number
    volumes = client.get_metric_history(parent, "hypervolume")
    assert {point.step for point in volumes} == set(range(1, 7))


def test_a_store_that_fails_for_a_while_loses_nothing(
    study: Study, store: Store, records: list[TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    with monkeypatch.context() as patch:

        def refuse(*arguments: object, **options: object) -> None:
            raise MlflowException("the store is away")

        patch.setattr(store.client, "log_batch", refuse)
        play(recorder, records)
        recorder._flush()
        assert recorder.failure == "the store is away"
    write_tables(study)
    write_figures(study)
    recorder.study_finished(study)
    assert recorder.failure is None
    assert set(nested(MlflowClient(store.uri), study)) == set(range(6))


def test_a_store_that_stays_away_is_told_and_raises_nothing(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)

    def refuse(*arguments: object, **options: object) -> None:
        raise MlflowException("the store is away")

    monkeypatch.setattr(store.client, "log_batch", refuse)
    play(recorder, records)
    recorder.study_finished(study)
    told = capsys.readouterr().err
    assert "the store is away" in told
    assert "--resume" in told


def test_artifacts_lie_beside_the_database(study: Study, store: Store, tmp_path: Path) -> None:
    recorder = Recorder(store)
    recorder.study_started(study)
    recorder.study_stopped(study, "failed", "made up")
    assert list((tmp_path / "mlruns").rglob("spec.yaml"))
