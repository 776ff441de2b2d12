"""Disks that stay full and folders that vanish under trainings: the study stops, none fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdsearch.errors import RunError
from kdsearch.execution.observers import Observer
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.spec import StudySpec
from tests.execution.scripted import Trainings
from tests.execution.test_tune_run import Phase, session, statuses

__all__ = ["session"]

pytestmark = pytest.mark.slow


@pytest.fixture
def phase(session: None, spec: StudySpec, tmp_path: Path) -> Phase:
    (tmp_path / "study").mkdir()
    made = Phase(spec, tmp_path / "study")
    made.notes = tmp_path / "notes"
    made.notes.mkdir()
    return made


@pytest.mark.parametrize("name", ["search", "finalists"])
def test_a_disk_that_stays_full_stops_the_phase_and_fails_no_training(
    phase: Phase, name: Any
) -> None:
    weights = phase.folder / "finalists"
    jobs = Trainings(4, phase=name)
    with pytest.raises(RunError, match="No space left on device; free space there, then --resume"):
        phase.run(jobs, {"1/4": "disk"}, weights=weights, max_restarts=1)
    before = phase.journal.read()
    assert not any(record.status == "failed" for record in before.values())
    assert phase.begun()["1/4"] == 2
    records = phase.run(Trainings(4, finished=before, phase=name), weights=weights)
    assert statuses(records) == dict.fromkeys(range(4), "complete")


class FullJournal(Journal):
    """Has no room for records of one status."""

    status = ""

    def append(self, record: TrialRecord) -> None:
        if record.status == self.status:
            raise OSError(28, "No space left on device")
        super().append(record)


@pytest.mark.parametrize("status", ["running", "paused", "complete", "failed"])
def test_a_record_that_cannot_be_kept_stops_the_phase(phase: Phase, status: str) -> None:
    """A training that is begun, paused, done, or taken for hung; none is told to the search."""
    phase.journal = journal = FullJournal(phase.journal.path)
    journal.status = status
    jobs = Trainings(4, rungs=(3,))
    script = {"0/2": "kill"} if status == "failed" else {}
    with pytest.raises(OSError, match="No space left on device"):
        phase.run(jobs, script, max_restarts=0)
    assert status not in {record.status for record in jobs.outcomes}
    if status == "paused":  # to go on is alike for all
        before = phase.journal.read()
        journal.status = ""
        records = phase.run(Trainings(4, finished=before))
        assert statuses(records) == dict.fromkeys(range(4), "complete")


class MovesFolder(Observer):
    """Moves the study's folder away at an epoch."""

    def __init__(self, folder: Path, to: Path) -> None:
        self._folder, self._to = folder, to

    def trial_epoch(self, record: TrialRecord) -> None:
        if record.number == 1 and not self._to.exists():
            self._folder.rename(self._to)


def test_a_folder_that_vanishes_stops_the_phase_and_is_not_begun_anew(
    phase: Phase, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    with pytest.raises((RunError, FileNotFoundError)) as caught:
        phase.run(Trainings(4, rungs=(2,)), observer=MovesFolder(phase.folder, away))
    assert str(phase.folder) in str(caught.value)
    assert not phase.journal.path.exists()
    assert (away / "trials.jsonl").exists()
