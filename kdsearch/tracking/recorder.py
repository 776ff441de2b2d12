"""Writes a study into MLflow while it runs: a parent run, and a nested run for each training."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from sqlalchemy.exc import SQLAlchemyError

from kdsearch.search.events import Observer
from kdsearch.search.front import hypervolume
from kdsearch.search.record import TrialRecord
from kdsearch.search.study import Study
from kdsearch.search.tables import describe_trial
from kdsearch.tracking.provenance import git_commit, versions
from kdsearch.tracking.store import Store
from kdsearch.training.teacher_store import StoredTeacher

FLUSH_SECONDS = 2.0
"""How often what has happened is written; one batch a run, so that SQLite keeps up."""

BATCH = 900
"""MLflow takes at most 1000 metrics a call."""


class Recorder(Observer):
    """Keeps MLflow up to date from a thread of its own.

    The thread holds the latest record of each training and brings the store to it. A store that
    fails on the way costs the search nothing: what could not be written is tried again, and the
    study's own files have it in any case.

    Args:
        store: The reachable store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = store.client
        self._pending: dict[tuple[str, int], TrialRecord] = {}
        self._runs: dict[tuple[str, int], str] = {}
        self._written: dict[str, int] = {}
        self._ended: list[TrialRecord] = []
        self._volumes = 0
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self.failure: str | None = None

    def study_started(self, study: Study) -> None:
        self._study = study
        known = study.state.get("mlflow")
        if known and known["uri"] == self._store.uri:
            self._parent = known["run_id"]
            self._client.update_run(self._parent, status="RUNNING")
            self._find_runs()
        else:
            self._parent = self._create_parent(study)
        study.directory.update(
            mlflow={
                "uri": self._store.uri,
                "experiment_id": self._store.experiment_id,
                "run_id": self._parent,
            }
        )
        self._thread = Thread(target=self._loop, name="mlflow-recorder", daemon=True)
        self._thread.start()

    def _create_parent(self, study: Study) -> str:
        state = study.state
        tags = {
            MLFLOW_RUN_NAME: study.spec.study.name,
            "kind": "study",
            "data_fingerprint": state["data"]["fingerprint"],
            **{f"version.{name}": version for name, version in versions().items()},
        }
        commit = git_commit()
        if commit:
            tags[MLFLOW_GIT_COMMIT] = commit
        run = self._client.create_run(self._store.experiment_id, tags=tags)
        identity = run.info.run_id
        spec = study.spec
        parameters = {
            "seed": spec.study.seed,
            "data": spec.data.source,
            "teacher": json.dumps(spec.teacher.model.model_dump(mode="json")),
            "methods": ", ".join(spec.methods),
            "trials": spec.search.trials,
            "sampler": spec.search.sampler,
            "size": spec.search.size,
            "epochs": spec.training.epochs,
        }
        self._client.log_batch(
            identity, params=[Param(name, str(value)) for name, value in parameters.items()]
        )
        for name in ("spec.yaml", "resolved.yaml"):
            self._client.log_artifact(identity, str(study.directory.path / name))
        return identity

    def _find_runs(self) -> None:
        """The nested runs of a study that goes on."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._store.experiment_id],
                f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self._parent}'",
                page_token=token,
            )
            for run in page:
                key = (run.data.tags["phase"], int(run.data.tags["number"]))
                self._runs[key] = run.info.run_id
                self._written[run.info.run_id] = int(run.data.metrics.get("epoch", 0))
            token = page.token
            if not token:
                return

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        history = teacher.facts.get("history", [])
        metrics = [
            metric for report in history for metric in _epoch_metrics(report, prefix="teacher_")
        ]
        tags = {"teacher.key": teacher.key, "teacher.trained": str(trained).lower()}
        self._attempt(
            lambda: self._client.log_batch(self._parent, metrics=metrics[:BATCH], tags=_tags(tags))
        )

    def phase_started(self, phase: str, total: int, finished: Sequence[TrialRecord]) -> None:
        for record in finished:
            self._note(record)
            if phase == "search":
                self._ended.append(record)

    def trial_started(self, record: TrialRecord) -> None:
        self._note(record)

    def trial_epoch(self, record: TrialRecord) -> None:
        self._note(record)

    def trial_ended(self, record: TrialRecord) -> None:
        self._note(record)
        if record.phase == "search":
            self._ended.append(record)

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        self._halt()
        status = "KILLED" if state == "interrupted" else "FAILED"
        self._attempt(lambda: self._client.set_tag(self._parent, "reason", reason))
        self._attempt(lambda: self._client.set_terminated(self._parent, status))

    def study_finished(self, study: Study) -> None:
        """Write the report: front members tagged, table, figures, students."""
        self._halt()
        self._attempt(lambda: self._write_report(study))
        if self.failure:
            print(
                f"kdsearch: not everything could be written to {self._store.uri} "
                f"({self.failure}); the study's own files are complete, and `kdsearch run "
                f"{study.spec.file} --resume` writes the rest",
                file=sys.stderr,
            )

    def _write_report(self, study: Study) -> None:
        for member in study.members():
            run = self._runs.get(("search", member.number))
            if run:
                self._client.set_tag(run, "front", "true")
        for row in study.front.to_dict("records"):
            run = self._runs.get(("search", int(row["trial"])))
            if run:
                self._client.set_tag(run, "finalist", "true")
                names = (
                    "test_accuracy",
                    "test_accuracy_ci",
                    "baseline_accuracy",
                    "gain",
                    "gain_ci",
                )
                now = int(time.time() * 1000)
                metrics = [
                    Metric(name, float(row[name]), now, 0)
                    for name in names
                    if row[name] == row[name]
                ]
                self._client.log_batch(run, metrics=metrics)
        self._client.log_table(
            self._parent,
            study.front.drop(columns=["weights", "hyperparameters"]),
            "front_table.json",
        )
        folder = study.directory.path
        for name in ("front.csv", "front.json", "trials.csv", "front.html", "front.png"):
            if (folder / name).exists():
                self._client.log_artifact(self._parent, str(folder / name))
        self._log_students(study.directory.students)
        self._client.set_terminated(self._parent, "FINISHED")

    def _log_students(self, students: Path) -> None:
        for folder in sorted(students.glob("trial-*")):
            run = self._runs.get(("search", int(folder.name.removeprefix("trial-"))))
            if run:
                self._client.log_artifacts(run, str(folder), "student")

    def _note(self, record: TrialRecord) -> None:
        with self._lock:
            self._pending[record.phase, record.number] = record

    def _loop(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()

    def _halt(self) -> None:
        """End the thread with everything written."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.failure = None
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
        for key, record in pending.items():
            if not self._attempt(lambda record=record: self._write(record)):
                with self._lock:
                    self._pending.setdefault(key, record)
        self._attempt(self._write_hypervolume)

    def _attempt(self, action: Any) -> bool:
        """Do what may fail because of the store; whether it worked."""
        try:
            action()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.failure = str(error).strip().splitlines()[0][:200]
            return False
        return True

    def _write(self, record: TrialRecord) -> None:
        key = (record.phase, record.number)
        if key not in self._runs:
            self._runs[key] = self._create_nested(record)
        run = self._runs[key]
        done = self._written.get(run, 0)
        metrics = [metric for report in record.epochs[done:] for metric in _epoch_metrics(report)]
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + BATCH])
        self._written[run] = len(record.epochs)
        if record.status == "running":
            return
        if record.test:
            now = int(time.time() * 1000)
            self._client.log_batch(
                run,
                metrics=[Metric(f"test_{name}", v, now, 0) for name, v in record.test.items()],
            )
        if record.reason:
            self._client.set_tag(run, "reason", record.reason)
        self._client.set_terminated(run, "FAILED" if record.reason else "FINISHED")

    def _create_nested(self, record: TrialRecord) -> str:
        facts = describe_trial(record)
        label = record.task.method.label
        name = f"{label}-{record.number:04d}"
        tags = {
            MLFLOW_PARENT_RUN_ID: self._parent,
            MLFLOW_RUN_NAME: name if record.phase == "search" else f"finalist-{name}",
            "kind": "trial",
            "phase": record.phase,
            "number": str(record.number),
            "method": label,
        }
        run = self._client.create_run(self._store.experiment_id, tags=tags).info.run_id
        parameters = {
            key: facts[key] for key in ("method", "family", "width", "depth", "lr", "weight_decay")
        }
        parameters |= facts["hyperparameters"] | {"ce_weight": record.task.method.ce_weight}
        parameters |= {"seed": record.task.seed}
        now = int(time.time() * 1000)
        self._client.log_batch(
            run,
            metrics=[
                Metric(key, float(facts[key]), now, 0) for key in ("parameters", "macs", "bytes")
            ],
            params=[Param(key, str(value)) for key, value in parameters.items()],
        )
        return run

    def _write_hypervolume(self) -> None:
        ended = list(self._ended)
        if len(ended) == self._volumes:
            return
        size = self._study.size
        largest = self._study.state["teacher"]["size"][size]
        now = int(time.time() * 1000)
        counts = range(self._volumes + 1, len(ended) + 1)
        self._client.log_batch(
            self._parent,
            metrics=[
                Metric("hypervolume", hypervolume(ended[:count], size, largest), now, count)
                for count in counts
            ],
        )
        self._volumes = len(ended)


def _epoch_metrics(report: dict[str, float], prefix: str = "") -> list[Metric]:
    """An epoch's report as metrics at its step."""
    names = {
        "loss": "train_loss",
        "accuracy": "validation_accuracy",
        "nll": "validation_nll",
        "lr": "learning_rate",
        "seconds": "epoch_seconds",
        "epoch": "epoch",
    }
    now, step = int(time.time() * 1000), int(report["epoch"])
    return [Metric(prefix + name, float(report[key]), now, step) for key, name in names.items()]


def _tags(tags: dict[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in tags.items()]
