"""Trainings under Ray Tune whose processes, disks and own code fail: real kills, real crashes."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from kdsearch.errors import RunError
from kdsearch.execution.connection.session import ray_session
from kdsearch.execution.observers import Observer
from kdsearch.execution.storage.trial_files import TrialFiles
from kdsearch.execution.tune_run import Runner
from kdsearch.results.record import Journal, TrialRecord
from kdsearch.spec import StudySpec
from tests.execution.scripted import EPOCHS, ScriptedTrial, Trainings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
AT_ONCE = 1e-6


@pytest.fixture
def session(private_ray: None, spec: StudySpec) -> Iterator[None]:
    with ray_session(spec, None):
        yield


class Phase:
    """A phase in a folder: what runs it, and what it leaves."""

    def __init__(self, spec: StudySpec, folder: Path) -> None:
        self.resources = spec.resources.model_copy(update={"concurrent": 2})
        self.folder = folder
        self.journal = Journal(folder / "trials.jsonl")
        self.notes = folder / "notes"
        self.notes.mkdir(exist_ok=True)
        self.storage: str | Path = folder / "tune"
        self.trainable: type[ScriptedTrial] = ScriptedTrial

    def run(
        self,
        jobs: Trainings,
        script: dict[str, str] | None = None,
        observer: Observer | None = None,
        broken: str = "",
        weights: Path | None = None,
        **resources: Any,
    ) -> dict[int, TrialRecord]:
        given = self.resources.model_copy(update=resources)
        shared = {
            "script": script or {},
            "notes": str(self.notes),
            "resources": given.model_dump(),
            "broken": broken,
        }
        runner = Runner(shared, given, self.folder, observer or Observer(), self.trainable)
        files = TrialFiles(self.storage, self.folder / "failures", weights)
        runner.run(jobs, self.journal, "run", files)
        return self.journal.read()

    def begun(self) -> Counter[str]:
        """How often each epoch of each training was begun, by ``NUMBER/EPOCH``."""
        names = [file.name.rsplit("-", 1)[0] for file in self.notes.iterdir()]
        return Counter(name.replace("-", "/") for name in names)


@pytest.fixture
def phase(session: None, spec: StudySpec, tmp_path: Path) -> Phase:
    return Phase(spec, tmp_path)


def statuses(records: dict[int, TrialRecord]) -> dict[int, str]:
    return {number: record.status for number, record in sorted(records.items())}


def test_trials_are_paused_at_rungs_and_go_on_in_the_same_tune_trial(phase: Phase) -> None:
    records = phase.run(Trainings(4, rungs=(1, 2)))
    assert statuses(records) == dict.fromkeys(range(4), "complete")
    assert all(len(record.epochs) == EPOCHS for record in records.values())
    assert set(phase.begun().values()) == {1}
    lines = [(each.number, each.status, len(each.epochs)) for each in phase.journal.lines()]
    for number in range(4):
        course = [(status, epochs) for of, status, epochs in lines if of == number]
        assert course == [("running", 0), ("paused", 1), ("paused", 2), ("complete", EPOCHS)]
    saved = [Path(each.checkpoint) for each in phase.journal.lines() if each.checkpoint]
    assert (len(saved), len({path.parent for path in saved})) == (8, 4)
    assert not list((phase.folder / "tune" / "run").glob("trial-*"))
    assert not list((phase.folder / "failures").iterdir())


def test_a_lost_process_costs_the_epochs_since_the_last_checkpoint(phase: Phase) -> None:
    records = phase.run(Trainings(3), {"1/3": "kill?"}, checkpoint_minutes=AT_ONCE)
    assert statuses(records) == dict.fromkeys(range(3), "complete")
    assert [epoch["epoch"] for epoch in records[1].epochs] == [1, 2, 3, 4]
    assert phase.begun() == Counter(
        {f"{number}/{epoch}": 1 for number in range(3) for epoch in range(1, 5)}
    ) | Counter({"1/3": 2})


def test_what_fails_for_good_has_its_own_reason(phase: Phase) -> None:
    """Each by itself: killed or crashed every time, the user's mistake, memory, a hang."""
    script = {
        "0/1": "kill",
        "1/1": "segfault",
        "2/2": "mistake",
        "3/1": "memory",
        "4/1": "disk?",
        "5/2": "hang",
        "6/1": "diverge",
        "7/1": "exit",
        "8/1": "interrupt",
    }
    records = phase.run(Trainings(10), script, max_restarts=1, trial_timeout=4.0)
    assert statuses(records) == {
        **dict.fromkeys(range(9), "failed"),
        4: "complete",
        9: "complete",
    }
    reasons = {number: record.reason or "" for number, record in records.items()}
    assert reasons[0].startswith("its process ended without a word")
    assert reasons[0].endswith("2 times without coming further")
    assert reasons[1].startswith("its process crashed (Segmentation fault)")
    assert reasons[2] == "AwkwardError: the user's own mistake"
    assert reasons[3] == "MemoryError"
    assert "resources.trial_timeout (4 s)" in reasons[5]
    assert reasons[6] == "the loss became nan in epoch 1; lower it"
    assert reasons[7].startswith("its process ended without a word")
    assert reasons[8] == "KeyboardInterrupt"
    begun = phase.begun()
    assert [begun[f"{number}/1"] for number in range(10)] == [2, 2, 1, 1, 2, 1, 1, 2, 1, 1]
    failures = phase.folder / "failures"
    assert "the user's own mistake" in (failures / "search-0002.log").read_text()
    assert "train_epoch" in (failures / "search-0002.log").read_text()
    assert "train_epoch" in (failures / "search-0005.log").read_text()
    assert not (failures / "search-0009.log").exists()


class Impatient(ScriptedTrial):
    hang_seconds = 4.0


def test_a_hang_ends_though_nobody_has_set_a_limit(phase: Phase) -> None:
    """An epoch that takes long is none, if one before it took a tenth of its time."""
    phase.trainable = Impatient
    script = {"0/3": "hang", "1/1": "slow", "1/3": "slower"}
    records = phase.run(Trainings(2), script)
    assert statuses(records) == {0: "failed", 1: "complete"}
    assert records[0].reason == (
        "an epoch took longer than 6 hours (set resources.trial_timeout if one must); its crash "
        "log says where"
    )
    assert "train_epoch" in (phase.folder / "failures" / "search-0000.log").read_text()


def test_a_finalist_whose_process_is_killed_has_its_weights_and_its_test_score_once(
    phase: Phase,
) -> None:
    weights = phase.folder / "finalists"
    jobs = Trainings(3, phase="finalists")
    records = phase.run(jobs, {"1/4": "kill?"}, weights=weights, checkpoint_minutes=AT_ONCE)
    assert statuses(records) == dict.fromkeys(range(3), "complete")
    assert all(record.test == {"accuracy": 0.25} for record in records.values())
    names = Counter(file.suffix for file in weights.iterdir())
    assert names == {".safetensors": 3, ".sha256": 3}
    assert phase.begun() == Counter(
        {f"{number}/{epoch}": 1 for number in range(3) for epoch in range(1, 5)}
    ) | Counter({"1/4": 2})


class KillsIdle(Observer):
    """Kills the process of a training that has ended, before another can begin in it."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = set(numbers)
        self.killed: set[int] = set()

    def trial_ended(self, record: TrialRecord) -> None:
        self.trial_paused(record)

    def trial_paused(self, record: TrialRecord) -> None:
        if record.number in self._numbers:
            self._numbers.remove(record.number)
            process = int(record.epochs[-1]["process"])
            os.kill(process, signal.SIGKILL)
            self.killed.add(process)
            time.sleep(0.5)


class Freezes(Observer):
    """Stops the process of a training for some seconds."""

    def __init__(self) -> None:
        self.frozen = False
        self.lost: list[int] = []

    def trial_epoch(self, record: TrialRecord) -> None:
        if record.number == 1 and not self.frozen:
            self.frozen = True
            process = int(record.epochs[-1]["process"])
            os.kill(process, signal.SIGSTOP)
            Timer(8, os.kill, (process, signal.SIGCONT)).start()

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        self.lost.append(record.number)


def test_a_process_that_is_frozen_for_a_while_goes_on(phase: Phase) -> None:
    observer = Freezes()
    records = phase.run(Trainings(4, rungs=(2,)), observer=observer)
    assert (observer.frozen, observer.lost) == (True, [])
    assert statuses(records) == dict.fromkeys(range(4), "complete")
    assert set(phase.begun().values()) == {1}


@pytest.mark.parametrize("numbers", [(0,), (0, 1, 2, 3)])
def test_idle_processes_that_die_cost_no_trial(phase: Phase, numbers: tuple[int, ...]) -> None:
    observer = KillsIdle(*numbers)
    records = phase.run(Trainings(8, rungs=(2,)), observer=observer)
    assert observer.killed
    assert statuses(records) == dict.fromkeys(range(8), "complete")
    assert all(len(record.epochs) == EPOCHS for record in records.values())


def test_ten_failures_for_one_reason_stop_the_phase(phase: Phase) -> None:
    script = {f"{number}/1": "mistake" for number in range(30)}
    with pytest.raises(RunError, match=r"the user's own mistake\); fix it, then --resume --retry"):
        phase.run(Trainings(30), script)
    records = phase.journal.read()
    assert 10 <= sum(record.status == "failed" for record in records.values()) <= 12
    assert len(records) <= 12


def test_set_ups_that_always_fail_stop_the_phase(phase: Phase) -> None:
    with pytest.raises(RunError, match="set-ups in a row have failed: RuntimeError: the driver of"):
        phase.run(Trainings(6), broken="everywhere")
    assert not any(record.ended for record in phase.journal.read().values())


def test_a_folder_that_is_not_shared_is_told_at_once(phase: Phase, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    shared = {"script": {}, "notes": "", "resources": phase.resources.model_dump(), "broken": ""}
    runner = Runner(shared, phase.resources, tmp_path / "here", Observer(), ScriptedTrial)
    (tmp_path / "here").rename(tmp_path / "the driver's alone")
    with pytest.raises(RunError, match=r"does not share .*here; give a study\.directory that all"):
        runner.run(Trainings(4), phase.journal, "run", TrialFiles(phase.storage, tmp_path / "f"))


class Fails(Observer):
    """Has an error of its own when a training ends."""

    def trial_ended(self, record: TrialRecord) -> None:
        raise OSError(28, "No space left on device")


def test_an_error_of_our_own_loses_no_training(phase: Phase) -> None:
    """What runs is saved after its epoch, and goes on from there later."""
    script = {f"0/{epoch}": "slow" for epoch in range(1, 5)}
    with pytest.raises(OSError, match="No space left"):
        phase.run(Trainings(6), script, Fails())
    before = phase.journal.read()
    assert before[0].status == "running"
    assert 1 <= len(before[0].epochs) < EPOCHS
    assert before[1].status == "complete"
    records = phase.run(Trainings(6, finished=before))
    assert statuses(records) == dict.fromkeys(range(6), "complete")
    assert set(phase.begun().values()) == {1}


def test_a_damaged_checkpoint_is_found_out_and_the_training_starts_over(phase: Phase) -> None:
    with pytest.raises(OSError, match="No space left"):
        phase.run(Trainings(2), {"0/3": "slow"}, Fails(), checkpoint_minutes=AT_ONCE)
    (state,) = (phase.folder / "tune").rglob("training.pt")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    told: list[str] = []

    class Listens(Observer):
        def trial_lost(self, record: TrialRecord, reason: str) -> None:
            told.append(reason)

    records = phase.run(Trainings(2, finished=phase.journal.read()), observer=Listens())
    assert statuses(records) == dict.fromkeys(range(2), "complete")
    assert phase.begun()["0/1"] == 2
    assert all("is corrupt" in reason for reason in told)


def test_checkpoints_lie_in_any_storage_that_has_a_uri(phase: Phase, tmp_path: Path) -> None:
    phase.storage = (tmp_path / "far away").as_uri()
    records = phase.run(Trainings(2, rungs=(1,)), {"1/3": "kill?"}, checkpoint_minutes=AT_ONCE)
    assert statuses(records) == dict.fromkeys(range(2), "complete")
    assert phase.begun()["1/1"] == 1
