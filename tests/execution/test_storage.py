"""What a storage is waited for, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.execution.storage import slow_saves
from kdsearch.execution.storage.access import patiently
from kdsearch.execution.storage.slow_saves import SlowSaves
from kdsearch.execution.storage.trial_files import TrialFiles


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        FileNotFoundError("Path not found"),
        OSError("Bucket 'b' not found. To create buckets, enable the option."),
        OSError(
            "When testing for existence of bucket 'b': AWS Error ACCESS_DENIED during HeadBucket"
        ),
        RuntimeError("a mistake"),
    ],
)
def test_what_does_not_heal_is_not_waited_for(error: Exception) -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(attempt, 60)
    assert len(tries) == 1


def test_an_outage_is_waited_out() -> None:
    answers = iter([OSError("AWS Error NETWORK_CONNECTION during PutObject operation"), "saved"])

    def attempt() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert patiently(attempt, 60) == "saved"


def test_a_row_of_slow_checkpoints_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    saves = SlowSaves(told.append, "s3://bucket/a", 300)
    saves.begin(3)
    saves.check()
    assert told == []
    monkeypatch.setattr(slow_saves, "SLOW", -1.0)
    saves.check()
    saves.check()
    assert len(told) == 1
    assert told[0].startswith("trial 3 has been on its way to s3://bucket/a for")
    saves.end(3)
    saves.begin(4)
    saves.check()
    assert len(told) == 2


def test_checkpoints_of_which_nobody_was_told_are_removed(tmp_path: Path) -> None:
    """What a process leaves that was lost while it saved; of another phase's, nothing."""
    files = TrialFiles(tmp_path / "tune", tmp_path / "failures")
    needed, partly, others, foreign = (
        "run/trial-0001-a/checkpoint_000001",
        "run/trial-0001-a/checkpoint_000002",
        "run/trial-0002-b/checkpoint_000000",
        "other/trial-0001-c/checkpoint_000000",
    )
    for checkpoint in (needed, partly, others, foreign):
        (tmp_path / "tune" / checkpoint).mkdir(parents=True)
        (tmp_path / "tune" / checkpoint / "training.pt").touch()
    files.remove_unused("run", {needed})
    left = (tmp_path / "tune").glob("*/*/checkpoint_*")
    assert {str(path.relative_to(tmp_path / "tune")) for path in left} == {needed, foreign}
    files.remove_unused("never begun", set())
    assert files.remove_rest() == 0
