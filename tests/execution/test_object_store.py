"""Trainings whose checkpoints lie in an object store: a real server, which may stop."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from kdsearch.errors import RunError
from kdsearch.execution.connection.session import ray_session
from kdsearch.execution.observers import Observer
from kdsearch.execution.storage.trial_files import TrialFiles
from kdsearch.results.record import TrialRecord
from kdsearch.spec import StudySpec
from tests.execution.scripted import EPOCHS, ScriptedTrial, Trainings
from tests.execution.test_tune_run import AT_ONCE, Phase, statuses
from tests.object_store import BUCKET, ObjectStore, object_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


@pytest.fixture
def phase(
    store: ObjectStore, private_ray: None, spec: StudySpec, tmp_path: Path
) -> Iterator[Phase]:
    """A phase whose checkpoints lie in a folder of the bucket that no other test has."""
    with ray_session(spec, None):
        made = Phase(spec, tmp_path)
        made.storage = store.uri(f"some folder/{tmp_path.name}".replace(" ", "%20"))
        yield made


class Impatient(ScriptedTrial):
    """Waits for a storage that is gone for a moment alone."""

    patience: ClassVar[float] = 1.0


class At(Observer):
    """Does something after an epoch of a training, once; listens to what is told."""

    def __init__(self, number: int, epoch: int, action: object) -> None:
        self._when, self._action = (number, epoch), action
        self.told: list[str] = []

    def trial_epoch(self, record: TrialRecord) -> None:
        if self._when == (record.number, len(record.epochs)) and callable(self._action):
            self._action, action = None, self._action
            action()

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        self.told.append(reason)


def test_trainings_are_paused_lost_and_go_on_in_a_bucket(phase: Phase, store: ObjectStore) -> None:
    seen: list[str] = []
    look = At(2, 3, lambda: seen.extend(store.names("training.pt")))
    script = {"1/3": "kill?"}
    records = phase.run(Trainings(4, rungs=(1, 2)), script, look, checkpoint_minutes=AT_ONCE)
    assert statuses(records) == dict.fromkeys(range(4), "complete")
    begun = phase.begun()
    assert begun.pop("1/3") == 2
    assert set(begun.values()) == {1}
    assert look.told == [
        "its process ended without a word: killed, out of memory, or its node was lost"
    ]
    held = Counter(re.findall(r"/trial-(\d+)-", " ".join(seen)))
    assert held["0002"] == 1
    # the other that runs may just have a new one beside the one that it replaces
    assert sum(count - 1 for count in held.values()) <= 1
    assert not store.names("checkpoint_")


def test_a_phase_goes_on_from_the_bucket_in_another_run(phase: Phase, store: ObjectStore) -> None:
    def stop() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        phase.run(Trainings(3, rungs=(2,)), {"0/2": "slow"}, At(0, 2, stop))
    before = phase.journal.read()
    assert any(record.checkpoint for record in before.values())
    assert store.names("checkpoint_")
    records = phase.run(Trainings(3, rungs=(2,), finished=before))
    assert statuses(records) == dict.fromkeys(range(3), "complete")
    assert set(phase.begun().values()) == {1}
    assert not store.names("checkpoint_")


def test_an_outage_costs_no_epoch(phase: Phase, store: ObjectStore) -> None:
    def outage() -> None:
        store.stop()
        threading.Timer(20, store.start).start()

    observer = At(0, 2, outage)
    records = phase.run(Trainings(4, rungs=(1,)), observer=observer, checkpoint_minutes=AT_ONCE)
    assert statuses(records) == dict.fromkeys(range(4), "complete")
    assert all(len(record.epochs) == EPOCHS for record in records.values())
    assert (set(phase.begun().values()), observer.told) == ({1}, [])
    assert not store.names("checkpoint_")


def test_a_server_that_is_gone_for_good_fails_no_training(
    phase: Phase, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase.trainable = Impatient
    try:
        with pytest.raises(RunError, match=r"cannot be used .*, then go on with --resume") as told:
            phase.run(
                Trainings(6), {"1/3": "slow"}, At(0, 2, store.stop), checkpoint_minutes=AT_ONCE
            )
    finally:
        store.start()
    assert "start its server" in str(told.value)
    assert not any(record.status == "failed" for record in phase.journal.read().values())
    records = phase.run(Trainings(6, finished=phase.journal.read()))
    assert statuses(records) == dict.fromkeys(range(6), "complete")
    assert not store.names("checkpoint_")


def test_a_part_of_a_checkpoint_is_removed_from_the_bucket(
    store: ObjectStore, tmp_path: Path
) -> None:
    """A folder that is only marked, and files without a mark of their folder."""
    files = TrialFiles(store.uri("parts"), tmp_path / "failures")
    needed = "run/trial-0001-a/checkpoint_000000"
    names = (
        f"parts/{needed}/training.pt",
        "parts/run/trial-0002-b/checkpoint_000000/",
        "parts/run/trial-0003-c/checkpoint_000001/training.pt",
    )
    for name in names:
        store.client("s3").put_object(Bucket=BUCKET, Key=name, Body=b"")
    files.remove_unused("run", {needed})
    assert store.names("checkpoint_") == [f"parts/{needed}/training.pt"]
    files.remove_unused("run", set())
    assert not store.names("checkpoint_")
