"""The desk between a study's trainings and Ray Tune."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from kdsearch.search.events import Observer
from kdsearch.search.finalists import weights_file
from kdsearch.search.jobs import Jobs, NoMoreJobs
from kdsearch.search.record import Journal, TrialRecord


class Desk:
    """Keeps the records of the running trainings and hands jobs out and in.

    Args:
        jobs: Where trainings come from; told of each outcome.
        journal: Takes the record of each training that ends.
        observer: Told of every start, epoch and end.
        save_folder: Where the weights go; given for finalists.

    Attributes:
        fault: An error of our own, after which nothing else counts.
    """

    def __init__(
        self, jobs: Jobs, journal: Journal, observer: Observer, save_folder: Path | None
    ) -> None:
        self._jobs = jobs
        self._journal = journal
        self._observer = observer
        self._save_folder = save_folder
        self._records: dict[int, TrialRecord] = {}
        self._stopped: set[int] = set()
        self.fault: Exception | None = None

    def take(self, event: Callable[..., None], *details: Any) -> None:
        """Take in an event; after a fault of our own, such as a full disk, no other counts."""
        if self.fault is None:
            try:
                event(*details)
            except Exception as error:  # Tune would take it for a failure of the trial
                self.fault = error

    def hand_out(self) -> dict[str, Any] | str | None:
        """The next training's configuration, Ray Tune's word for the end, or nothing yet."""
        if self.fault is not None:
            return Searcher.FINISHED
        try:
            record = self._jobs.next()
        except NoMoreJobs:
            return Searcher.FINISHED
        except Exception as error:  # Tune would log it and go on without a searcher
            self.fault = error
            return Searcher.FINISHED
        if record is None:
            return None
        self._records[record.number] = record
        config: dict[str, Any] = {
            "number": record.number,
            "task": record.task.model_dump(mode="json"),
        }
        if rungs := self._jobs.averaged_after(record):
            config["rungs"] = list(rungs)
        if self._save_folder is not None and record.phase == "finalists":
            config["save_to"] = str(weights_file(self._save_folder, record).resolve())
        return config

    def started(self, number: int) -> None:
        """A training starts."""
        self._observer.trial_started(self._records[number])

    def epoch(self, number: int, result: dict[str, Any]) -> None:
        """A training has finished an epoch, or kdsearch itself gave it up."""
        record = self._records[number]
        if "failed" in result:
            self._records[number] = record.model_copy(update={"reason": result["failed"]})
            return
        record = _with_report(record, result["report"])
        self._records[number] = record.model_copy(update={"test": result.get("test")})
        self._observer.trial_epoch(self._records[number])

    def goes_on(self, number: int, report: dict[str, float]) -> bool:
        """Whether a training goes on after an epoch that is not its last."""
        if self.fault is not None:
            return True
        try:
            goes_on = self._jobs.goes_on(_with_report(self._records[number], report))
        except Exception as error:  # Tune would take it for a failure of the trial
            self.fault = error
            return True
        if not goes_on:
            self._stopped.add(number)
        return goes_on

    def ended(self, number: int, crash: str | None) -> None:
        """A training has ended; ``crash`` says why its process broke, if it did."""
        record = self._records.pop(number)
        reason = crash or record.reason or self._missing_weights(record)
        status = "stopped" if number in self._stopped else "complete"
        update: dict[str, Any] = {"status": "failed" if reason else status, "reason": reason}
        if reason:
            update["test"] = None
        record = record.model_copy(update=update)
        self._journal.append(record)
        self._jobs.ended(record)
        self._observer.trial_ended(record)

    def _missing_weights(self, record: TrialRecord) -> str | None:
        if self._save_folder is None or record.phase != "finalists":
            return None
        if weights_file(self._save_folder, record).is_file():
            return None
        return (
            f"its weights are not in {self._save_folder}; give a study.directory that all nodes of "
            "the cluster share"
        )


def _with_report(record: TrialRecord, report: dict[str, float]) -> TrialRecord:
    """A running training with the report of one more epoch."""
    # a training that was lost and begun again starts over
    before = tuple(epoch for epoch in record.epochs if epoch["epoch"] < report["epoch"])
    return record.model_copy(update={"epochs": (*before, report)})
