"""The desk between a study's trainings and Ray Tune."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from kdsearch.execution.jobs import Jobs, NoMoreJobs, Stage
from kdsearch.execution.observers import Observer
from kdsearch.results.finalists import weights_file
from kdsearch.results.record import Journal, TrialRecord


@dataclass(frozen=True)
class Places:
    """Folders in which the trainings of a phase leave files.

    Attributes:
        weights: Takes the weights of finalists, who are scored on the test.
        paused: Takes the trainings that are put aside.
    """

    weights: Path | None = None
    paused: Path | None = None

    def aside(self, number: int, epochs: int) -> Path:
        """The file of a training that was put aside after so many epochs."""
        assert self.paused is not None, "these trainings are never put aside"
        return self.paused.resolve() / f"trial-{number:04d}-{epochs}.pt"


class Dispatcher:
    """Keeps the records of the running trainings and hands jobs out and in.

    Args:
        jobs: Where trainings come from; told of each outcome.
        journal: Takes the record of each training that ends or is put aside.
        observer: Told of every start, epoch and end.
        places: Where the trainings leave their files.

    Attributes:
        fault: An error of our own, after which nothing else counts.
    """

    def __init__(self, jobs: Jobs, journal: Journal, observer: Observer, places: Places) -> None:
        self._jobs = jobs
        self._journal = journal
        self._observer = observer
        self._places = places
        self._records: dict[int, TrialRecord] = {}
        self._stages: dict[int, Stage] = {}
        self._since: dict[int, Path] = {}
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
        return self._config(record)

    def _config(self, record: TrialRecord) -> dict[str, Any]:
        """What the actor must know of a training that begins or goes on."""
        number, done = record.number, len(record.epochs)
        self._records[number] = record
        stage = self._stages[number] = self._jobs.stage(record)
        config = {"number": number, "task": record.task.model_dump(mode="json")}
        if stage.averaged:
            config["rungs"] = list(stage.averaged)
        if stage.until is not None:
            config["until"] = stage.until
            config["aside"] = str(self._places.aside(number, stage.until))
        if done:
            self._since[number] = self._places.aside(number, done)
            config["since"] = str(self._since[number])
        if self._places.weights is not None and record.phase == "finalists":
            config["save_to"] = str(weights_file(self._places.weights, record).resolve())
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

    def ended(self, number: int, crash: str | None) -> None:
        """A training has ended or is put aside; ``crash`` says why its process broke, if it did."""
        record, stage = self._records.pop(number), self._stages.pop(number)
        if len(record.epochs) == stage.until:  # whatever broke then, all of the stage is there
            update: dict[str, Any] = {"status": "paused"}
        elif reason := crash or record.reason or self._missing_weights(record):
            update = {"status": "failed", "reason": reason, "test": None}
        else:
            update = {"status": "complete"}
        record = record.model_copy(update=update)
        self._journal.append(record)
        self._jobs.ended(record)
        if since := self._since.pop(number, None):
            since.unlink(missing_ok=True)
        if record.ended:
            self._observer.trial_ended(record)
        else:
            self._observer.trial_paused(record)

    def _missing_weights(self, record: TrialRecord) -> str | None:
        if self._places.weights is None or record.phase != "finalists":
            return None
        if weights_file(self._places.weights, record).is_file():
            return None
        return (
            f"its weights are not in {self._places.weights}; give a study.directory that all nodes "
            "of the cluster share"
        )


def _with_report(record: TrialRecord, report: dict[str, float]) -> TrialRecord:
    """A running training with the report of one more epoch."""
    # a training that was lost and begun again starts over
    before = tuple(epoch for epoch in record.epochs if epoch["epoch"] < report["epoch"])
    return record.model_copy(update={"epochs": (*before, report)})
