"""What is known of one training, and the append-only file that keeps it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from kdsearch.errors import StudyError
from kdsearch.files import vanished, whole_lines
from kdsearch.spec.base import Section
from kdsearch.training.measured import MEASURED
from kdsearch.training.quantized import Int8
from kdsearch.training.task import Task

Status = Literal["running", "paused", "complete", "stopped", "failed"]
Phase = Literal["search", "baselines", "chains", "finalists"]
LadderPart = Literal["settings", "heads", "links"]


class TrialRecord(Section):
    """One trial of the search, or one training of a finalist or of its baseline."""

    number: int
    """Number in its phase, in the order of the proposals."""
    phase: Phase
    """Which part of the study it belongs to; ``baselines`` are the tuning of those, and ``chains``
    what finalists of a ladder, or their baselines, go on from."""
    task: Task
    """What was trained."""
    ladder: LadderPart | None = None
    """What a trial of a ladder is for: to find settings, to begin a chain, or to go on with it."""
    parameters: dict[str, Any] = {}
    """The searched parameters as Optuna names them; empty for finalists."""
    parameter_count: int
    """Parameters of the student as shipped."""
    macs: int
    """Multiply-accumulates of one sample."""
    widening: float = 1.0
    """Mean multiply-accumulates of the networks of its training, as multiples of these."""
    bytes: int
    """Bytes of the stored weights."""
    latency: float | None = None
    """Microseconds of one sample, where the study measures them."""
    int8_bytes: int | None = None
    """Bytes of the quantized ONNX file of its architecture, likewise."""
    int8_latency: float | None = None
    """Microseconds of one sample in 8 bits, likewise."""
    status: Status = "running"
    """Whether it ran to its end; ``paused`` is one that waits at a rung and may go on, ``stopped``
    one that waited there when the search ended."""
    reason: str | None = None
    """Why it failed, in one line."""
    checkpoint: str | None = None
    """What it goes on from after the last of its epochs: a folder below the storage."""
    epochs: tuple[dict[str, float], ...] = ()
    """A report for each finished epoch (see :class:`~kdsearch.training.trainer.EpochReport`)."""
    test: dict[str, float] | None = None
    """Scores on the test split by metric; for finalists alone."""
    started: float | None = None
    """When it began, in seconds since 1970."""
    finished: float | None = None
    """When it ended, or was last saved."""

    int8: Int8 | None = None
    """What quantization makes of it; for finalists and their baselines alone."""

    @property
    def ended(self) -> bool:
        """Whether it will not go on."""
        return self.status not in ("running", "paused")

    @property
    def over(self) -> bool:
        """Whether it is complete or failed; one that was stopped may go on with more trials."""
        return self.status in ("complete", "failed")

    def has_come_to(self, epochs: int) -> bool:
        """Whether it has come so far, or was over before."""
        return self.over or len(self.epochs) >= epochs

    @property
    def compares_settings(self) -> bool:
        """Whether it was trained as others that settings are compared by: in a ladder students of
        chains have the best settings alone."""
        return self.ladder in (None, "settings")

    @property
    def complete(self) -> bool:
        """Whether it ran to its end, and so has scores."""
        return self.status == "complete" and bool(self.epochs)

    @property
    def scores(self) -> dict[str, float]:
        """The report of the last epoch of a complete training; of another nothing."""
        return self.epochs[-1] if self.complete else {}

    @property
    def seconds(self) -> float:
        """Wall time of its epochs."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    def size(self, kind: str) -> float:
        """A size: parameters, macs, bytes, latency, or what was measured after the last epoch."""
        if kind in MEASURED:
            return self.epochs[-1][kind]
        size = self.parameter_count if kind == "parameters" else getattr(self, kind)
        assert size is not None, "the study did not measure it"
        return size


class Journal:
    """The history of a phase: an append-only file of records, one JSON object a line.

    A training has a line when it is proposed, whenever what it can go on from is saved, and at its
    end. A line counts once it is whole: what a crash tore off is left out when the file is read,
    and overwritten by the next append. The file is made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._was_there = False

    def append(self, record: TrialRecord) -> None:
        """Write a record so that it survives a crash of the process or the machine.

        Raises:
            FileNotFoundError: The file was there and is gone; its history is not begun anew.
        """
        if self._was_there and not self.path.exists():
            raise vanished(self.path)
        self._was_there = True
        line = record.model_dump_json() + "\n"
        with self.path.open("a+b") as file:
            file.truncate(whole_lines(file))
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> dict[int, TrialRecord]:
        """The latest record of each number, in the order in which they came to be what they are.

        Nothing comes after a complete training. Raises what :meth:`lines` raises.
        """
        records: dict[int, TrialRecord] = {}
        for record in self.lines():
            known = records.pop(record.number, None)
            records[record.number] = known if known and known.status == "complete" else record
        return records

    def lines(self) -> list[TrialRecord]:
        """All that was appended, in order.

        Raises:
            StudyError: A whole line holds no record.
        """
        self._was_there = self._was_there or self.path.exists()
        content = self.path.read_bytes() if self.path.exists() else b""
        records = []
        for place, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
            try:
                records.append(TrialRecord.model_validate_json(line))
            except ValidationError:
                raise StudyError(
                    f"line {place} of {self.path} is damaged; remove it, and --resume trains that "
                    "trial again"
                ) from None
        return records


def by_task(journal: Journal) -> dict[str, TrialRecord]:
    """Trainings by the key of their task."""
    return {record.task.key: record for record in journal.read().values()}
