"""Writes a study into MLflow while it runs: a parent run, and a nested run for each training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Lock, Thread

from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from kdsearch.search.events import Observer
from kdsearch.search.front import hypervolume
from kdsearch.search.record import TrialRecord
from kdsearch.search.study import Study
from kdsearch.tracking.report import write_report
from kdsearch.tracking.runs import (
    create_nested,
    create_parent,
    end_nested,
    find_nested,
    log_epochs,
    metrics,
)
from kdsearch.tracking.store import Store
from kdsearch.training.teacher_store import StoredTeacher

FLUSH_SECONDS = 2.0
"""How often what has happened is written; one batch a run, so that SQLite keeps up."""

Key = tuple[str, int]
"""Phase and number of a training."""


class Recorder(Observer):
    """Keeps MLflow up to date from a thread of its own.

    The thread holds the latest record of each training and brings the store to it. A store that
    fails on the way costs the search nothing: what could not be written is tried again, and the
    study's own files have it in any case.

    Args:
        store: The reachable store.

    Attributes:
        failure: What the store said when something could not be written, else ``None``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[Key, TrialRecord] = {}
        self._runs: dict[Key, str] = {}
        self._epochs: dict[Key, int] = {}
        self._closed: set[Key] = set()
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
            self._parent: str = known["run_id"]
            self._take_up()
        else:
            self._parent = create_parent(self._store, study)
        study.directory.update(
            mlflow={
                "uri": self._store.uri,
                "experiment_id": self._store.experiment_id,
                "run_id": self._parent,
            }
        )
        self._thread = Thread(target=self._loop, name="mlflow-recorder", daemon=True)
        self._thread.start()

    def _take_up(self) -> None:
        """Go on with the runs of a study that was cut off."""
        client = self._store.client
        client.update_run(self._parent, status="RUNNING")
        if "reason" in client.get_run(self._parent).data.tags:
            client.delete_tag(self._parent, "reason")
        for key, nested in find_nested(self._store, self._parent).items():
            self._runs[key], self._epochs[key] = nested.run, nested.epochs
            if nested.closed:
                self._closed.add(key)

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        tags = [
            RunTag("teacher.key", teacher.key),
            RunTag("teacher.trained", str(trained).lower()),
        ]
        history = teacher.facts.get("history", [])
        self._attempt(lambda: self._store.client.log_batch(self._parent, tags=tags))
        self._attempt(lambda: log_epochs(self._store, self._parent, history, "teacher_"))

    def phase_started(self, phase: str, total: int, finished: Sequence[TrialRecord]) -> None:
        for record in finished:
            self.trial_ended(record)

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
        client = self._store.client
        status = "KILLED" if state == "interrupted" else "FAILED"
        self._attempt(lambda: client.set_tag(self._parent, "reason", reason))
        self._attempt(lambda: client.set_terminated(self._parent, status))

    def study_finished(self, study: Study) -> None:
        """Write the report; say so if the store did not take everything."""
        self._halt()
        trials = {number: run for (phase, number), run in self._runs.items() if phase == "search"}
        if self.failure is None:
            self._attempt(lambda: write_report(self._store, study, self._parent, trials))
        if self.failure is None:
            self._attempt(lambda: self._store.client.set_terminated(self._parent, "FINISHED"))
        if self.failure is not None:
            print(
                f"kdsearch: not everything could be written to {self._store.uri} "
                f"({self.failure}); the study's own files are complete, and running it again "
                "with --resume writes the rest",
                file=sys.stderr,
            )

    def _note(self, record: TrialRecord) -> None:
        with self._lock:
            self._pending[record.phase, record.number] = record

    def _loop(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()

    def _halt(self) -> None:
        """End the thread with everything written, or with the failure of the last try."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.failure = None
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
        for key, record in pending.items():
            if not self._attempt(partial(self._write, key, record)):
                with self._lock:
                    self._pending.setdefault(key, record)
        self._attempt(self._write_hypervolume)

    def _attempt(self, action: Callable[[], object]) -> bool:
        """Do what may fail because of the store; whether it worked."""
        try:
            action()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.failure = str(error).strip().splitlines()[0][:200]
            return False
        return True

    def _write(self, key: Key, record: TrialRecord) -> None:
        """Bring a training's run to its record."""
        if key in self._closed:
            return
        if key not in self._runs:
            self._runs[key] = create_nested(self._store, self._parent, record)
        done = self._epochs.get(key, 0)
        log_epochs(self._store, self._runs[key], list(record.epochs[done:]))
        self._epochs[key] = max(done, len(record.epochs))
        if record.status != "running":
            end_nested(self._store, self._runs[key], record)
            self._closed.add(key)

    def _write_hypervolume(self) -> None:
        """Hypervolume over the trials ended so far, a step for each."""
        ended = list(self._ended)
        if len(ended) == self._volumes:
            return
        size = self._study.size
        largest = self._study.state["teacher"]["size"][size]
        found = [
            metric
            for count in range(self._volumes + 1, len(ended) + 1)
            for metric in metrics({"hypervolume": hypervolume(ended[:count], size, largest)}, count)
        ]
        self._store.client.log_batch(self._parent, metrics=found)
        self._volumes = len(ended)
