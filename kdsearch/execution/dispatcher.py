"""Hands trainings to whatever runs them, and takes in what becomes of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ray.tune.result import SHOULD_CHECKPOINT

from kdsearch.errors import RunError
from kdsearch.execution.failures import (
    SETUPS,
    FailureCounts,
    SetupError,
    crash_told,
    disk_is_full,
    hang_told,
    loss_reason,
    tidy,
)
from kdsearch.execution.jobs import Jobs, NoMoreJobs, RungStage
from kdsearch.execution.observers import Observer
from kdsearch.execution.storage.access import PATIENCE
from kdsearch.execution.storage.slow_saves import SlowSaves
from kdsearch.execution.storage.trial_files import TrialFiles
from kdsearch.files import write_atomically
from kdsearch.redaction import redacted
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.spec.sections import ResourcesSection
from kdsearch.training.quantized import Int8


@dataclass
class _Running:
    """A training that was handed out."""

    record: TrialRecord
    stage: RungStage
    saved: TrialRecord
    """As it was at its last checkpoint."""
    farthest: int
    """Epochs that it had when it was farthest."""
    losses: int = 0
    """How often its process was lost since it came further."""
    pausing: bool = False
    """Whether it is paused once its state is saved."""
    held: set[str] = field(default_factory=set)
    """Its checkpoints in the storage."""


class Dispatcher:
    """Keeps the records of the running trainings; hands trainings out and takes outcomes in.

    Everything is in the journal before anybody else is told. ``has_node`` says whether a node is
    left beside those to avoid, by Ray's ids.

    Attributes:
        fault: Why the phase cannot go on; what runs is saved after its present epoch.
        failures: What has failed in a row.
        saves: What is being saved.
    """

    def __init__(
        self,
        jobs: Jobs,
        journal: Journal,
        observer: Observer,
        files: TrialFiles,
        resources: ResourcesSection,
        has_node: Callable[[list[str]], bool],
    ) -> None:
        self._jobs, self._journal, self._observer = jobs, journal, observer
        self._files, self._resources, self._has_node = files, resources, has_node
        self._known = set(journal.read())
        self._running: dict[int, _Running] = {}
        self._lost: list[_Running] = []
        self._no_more = self._warned = False
        self.saves = SlowSaves(observer.warned, files.storage, PATIENCE)
        self.failures = FailureCounts()
        self.fault: Exception | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing is left to be handed out."""
        over = self.fault is not None or (self._no_more and not self._lost)
        return over and not self._running

    @contextmanager
    def faults_kept(self) -> Iterator[None]:
        """An error of our own, such as a full disk, stops the phase; Tune would go on."""
        try:
            yield
        except Exception as error:
            self.fault = self.fault or error

    def next(self) -> TrialRecord | None:
        """The next training to begin or to go on; ``None``: not now, or none any more."""
        running = None
        if self.fault is None and len(self._running) < self._resources.concurrent:
            with self.faults_kept():
                running = self._lost.pop(0) if self._lost else self._another()
        if running is None:
            return None
        self._running[running.record.number] = running
        return running.record

    def _another(self) -> _Running | None:
        try:
            record = None if self._no_more else self._jobs.next()
        except NoMoreJobs:
            self._no_more = True
            return None
        if record is None:
            return None
        if not record.epochs:
            record = record.model_copy(update={"started": time.time(), "finished": None})
        if record.number not in self._known:
            self._known.add(record.number)
            self._journal.append(record)
        held = set() if record.checkpoint is None else {record.checkpoint}
        stage = self._jobs.stage(record)
        return _Running(record, stage, record, farthest=len(record.epochs), held=held)

    def config(self, record: TrialRecord) -> dict[str, Any]:
        """What the actor must know of a training that begins, or goes on in a new Tune trial."""
        config = {
            "number": record.number,
            "task": record.task.model_dump(mode="json"),
            "crash_log": str(self._files.crash_log(record)),
            "rungs": list(self._running[record.number].stage.averaged),
            "avoid": self.failures.avoided,
        }
        if record.checkpoint is not None:
            config["checkpoint"] = self._files.uri(record.checkpoint)
        if record.task.parent is not None:
            config["parent"] = str(self._files.parent_file(record.task.parent.key))
        if self._jobs.keeps(record):
            config["keep"] = str(self._files.parent_file(record.task.key))
        if self._files.weights is not None and record.phase == "finalists":
            config["save_to"] = str(self._files.weights_file(record))
        return config

    def started(self, number: int) -> None:
        """A training starts."""
        self._observer.trial_started(self._running[number].record)

    def pauses(self, number: int, epoch: float) -> bool:
        """Whether a training is to be paused after an epoch."""
        running = self._running[number]
        running.pausing = self.fault is not None or epoch == running.stage.until
        return running.pausing

    def epoch(self, number: int, result: dict[str, Any]) -> None:
        """A training has finished an epoch, or has failed in it."""
        running = self._running[number]
        self.failures.set_up(result["node"])
        if "failed" in result:
            running.record = running.record.model_copy(update={"reason": result["failed"]})
            crash_log = self._files.crash_log(running.record)
            write_atomically(crash_log, redacted(result["traceback"]).encode())
            return
        if result.get("warning") and not self._warned:
            self._warned = True
            self._observer.warned(result["warning"])
        update: dict[str, Any] = {
            "epochs": (*running.record.epochs, result["report"]),
            "test": result.get("test"),
        }
        if int8 := result.get("int8"):
            update["int8"] = Int8.model_validate(int8)
        running.record = running.record.model_copy(update=update)
        if running.pausing or result.get(SHOULD_CHECKPOINT):
            self.saves.begin(number)
        if len(running.record.epochs) > running.farthest:
            running.farthest, running.losses = len(running.record.epochs), 0
        self._observer.trial_epoch(running.record)

    def saved(self, number: int, checkpoint: str) -> None:
        """A training's state is in a checkpoint, at a rung or on its way."""
        running = self._running[number]
        if running.pausing:  # at its rung, or since the phase stops
            del self._running[number]  # whatever fails below, Tune has paused it
        at_rung = len(running.record.epochs) == running.stage.until
        status = "paused" if at_rung else "running"
        update = {"checkpoint": checkpoint, "status": status, "finished": time.time()}
        record = running.record.model_copy(update=update)
        self._journal.append(record)
        running.record = running.saved = record
        self._files.remove_others(running.held, checkpoint)
        running.held = {checkpoint}
        self.saves.end(number)
        if running.pausing:
            tidy(self._files.crash_log(record))
            if at_rung:
                self._jobs.ended(record)
            self._observer.trial_paused(record)

    def ended(self, number: int) -> None:
        """A training has ended; what is still paused when all is over was told before."""
        if number in self._running:
            running = self._running.pop(number)
            record = running.record
            missing = self._files.missing_weights(record, self._jobs.keeps(record))
            self._end(running, record.reason or missing)

    def _end(self, running: _Running, reason: str | None) -> None:
        update: dict[str, Any] = {"status": "complete", "checkpoint": None}
        if reason is not None:
            update = {"status": "failed", "reason": reason, "test": None, "checkpoint": None}
        record = running.record.model_copy(update=update | {"finished": time.time()})
        self._journal.append(record)
        self._files.remove_others(running.held)
        tidy(self._files.crash_log(record))
        self._jobs.ended(record)
        self._observer.trial_ended(record)
        if self.failures.ended(reason):
            raise RunError(
                f"several trainings in a row have failed for one reason ({reason}); fix it, then "
                "--resume --retry-failed"
            )

    def lost(self, number: int, cause: BaseException | None) -> None:
        """An actor could not be made ready, its process was lost, or a disk failed it.

        Its training goes on, within bounds.
        """
        running = self._running.pop(number)
        self.saves.end(number)
        if why := self._files.failing(cause):
            self.fault = self.fault or RunError(why)
            self._again(running, why)
            return
        if isinstance(cause, SetupError):
            self.failures.set_up(cause.node, failed=True)
            if not self._has_node(self.failures.avoided):
                self.fault = self.fault or RunError(
                    f"no node can run a training, after {SETUPS} set-ups in a row have failed: "
                    f"{cause.reason}"
                )
            self._again(running, cause.reason)
            return
        told = crash_told(self._files.crash_log(running.record))
        reason = loss_reason(cause, told)
        running.losses += 1
        if told.startswith("Timeout"):  # as Python begins the stack of a process that hung
            self._end(running, hang_told(self._resources.trial_timeout))
        elif disk_is_full(cause) and running.losses > self._resources.max_restarts:
            self.fault = self.fault or RunError(f"{reason}; free space there, then --resume")
            self._again(running, reason)
        elif running.losses > self._resources.max_restarts:
            self._end(running, f"{reason}; {running.losses} times without coming further")
        else:
            self._again(running, reason)

    def _again(self, running: _Running, reason: str) -> None:
        """It goes on from its last checkpoint; from its start if that may be the cause."""
        if running.losses > 1 and running.saved.checkpoint is not None:
            update = {"epochs": (), "checkpoint": None}
            running.saved = running.saved.model_copy(update=update)
        running.record = running.saved.model_copy(update={"status": "running", "reason": None})
        self._lost.append(running)
        self._observer.trial_lost(running.record, reason)
