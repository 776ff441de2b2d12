"""Tells MLflow of a study while it runs, from a thread of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Lock, Thread

from mlflow.exceptions import MlflowException

from kdsearch.errors import KdsearchError, StoreError, one_line
from kdsearch.execution.observers import Observer
from kdsearch.redaction import redacted_uri
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.store import Store
from kdsearch.tracking.writer import Writer
from kdsearch.training.teacher_store import StoredTeacher

FLUSH_SECONDS = 2.0
"""How often what has happened is written; one batch a run, so that SQLite keeps up."""

END_SECONDS = 120.0
"""How long the end of a study waits for a slow store."""


class Recorder(Observer):
    """Keeps MLflow up to date from a thread of its own.

    The thread holds the latest record of each training and brings the store to it. A store that
    fails on the way costs the search nothing: what could not be written is tried again, and the
    study's own files have it in any case.

    Args:
        store: The reachable store.

    Attributes:
        failure: What the store said if the last try to write failed, else ``None``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._teachers: list[tuple[StoredTeacher, bool]] = []
        self._pending: dict[tuple[str, int], TrialRecord] = {}
        self._complete: list[TrialRecord] = []
        self._lock = Lock()
        self._stop = Event()
        self._thread: Thread | None = None
        self.failure: str | None = None

    def study_started(self, study: Study) -> None:
        """Make or find the study's run.

        Raises:
            StoreError: The store refuses.
        """
        self._writer = Writer(self._store, study)
        try:
            self._writer.begin()
        except KdsearchError:
            raise
        except Exception as error:  # each kind of store has errors of its own
            raise refused(self._store, error) from error
        self._thread = Thread(target=self._loop, name="mlflow-recorder", daemon=True)
        self._thread.start()

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        with self._lock:
            self._teachers.append((teacher, trained))

    def phase_started(
        self,
        phase: str,
        total: int | None,
        finished: Sequence[TrialRecord],
        epochs: float | None = None,
    ) -> None:
        for record in finished:
            (self.trial_ended if record.ended else self.trial_paused)(record)

    def trial_started(self, record: TrialRecord) -> None:
        self._note(record)

    def trial_epoch(self, record: TrialRecord) -> None:
        self._note(record)

    def trial_paused(self, record: TrialRecord) -> None:
        self._note(record)

    def trial_ended(self, record: TrialRecord) -> None:
        self._note(record)
        if record.phase == "search" and record.complete:
            self._complete.append(record)

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        """Close the runs, unless the store is away or never took the study."""
        if self._thread is not None:
            status = "KILLED" if state == "interrupted" else "FAILED"
            self._end(self._thread, partial(self._writer.stop, status, reason))

    def study_finished(self, study: Study) -> None:
        """Write the report; say so if the store did not take everything."""
        if self._thread is not None and (missing := self._end(self._thread, self._writer.finish)):
            print(
                f"kdsearch: not everything could be written to {redacted_uri(self._store.uri)} "
                f"({missing}); the study's own files are complete, and "
                f"kdsearch sync {study.directory.path} writes the rest",
                file=sys.stderr,
            )

    def _note(self, record: TrialRecord) -> None:
        with self._lock:
            self._pending[record.phase, record.number] = record

    def _loop(self) -> None:
        """Flush now and then, and once more at the end unless the store has just failed."""
        while True:
            last = self._stop.wait(FLUSH_SECONDS)
            self._attempt(self._flush)
            if last or (self._stop.is_set() and self.failure is not None):
                break
        if self.failure is None:
            self._attempt(self._last)

    def _end(self, thread: Thread, last: Callable[[], object]) -> str | None:
        """Have the rest written, then ``last``; why that was not to be, within the time for it."""
        self._last = last
        self._stop.set()
        thread.join(END_SECONDS)
        if thread.is_alive():
            return f"it took longer than {END_SECONDS:g} s"
        return self.failure

    def _flush(self) -> None:
        """Write what is pending, up to the first failure: each may take a dead server's minute."""
        while self._teachers:
            self._writer.write_teacher(*self._teachers[0])
            self._teachers.pop(0)
        with self._lock:
            keys = list(self._pending)
        for key in keys:
            # at the end of the queue while it is tried: a record that the store
            # never takes must not keep back the others
            with self._lock:
                record = self._pending[key] = self._pending.pop(key)
            self._writer.write_trial(record)
            with self._lock:
                if self._pending[key] is record:
                    del self._pending[key]
        self._writer.write_hypervolume(list(self._complete))

    def _attempt(self, action: Callable[[], object]) -> None:
        """Do what may fail because of the store, and keep what it said."""
        try:
            action()
        except Exception as error:  # each kind of store has errors of its own
            self.failure = _told(self._store, error)
        else:
            self.failure = None


def refused(store: Store, error: Exception) -> StoreError:
    """That a store does not take a study, and what to do."""
    return StoreError(
        f"the MLflow store at {redacted_uri(store.uri)} does not take the study "
        f"({_told(store, error)}); fix it, or set tracking.uri or MLFLOW_TRACKING_URI to another"
    )


def _told(store: Store, error: Exception) -> str:
    """What the store said, in one line without passwords."""
    text, kind = one_line(error, store.uri), type(error).__name__
    return text if isinstance(error, MlflowException) or text == kind else f"{kind}: {text}"
