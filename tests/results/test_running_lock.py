"""Whether a study runs, where its lock belongs to nobody, to a reader, or cannot be taken."""

from __future__ import annotations

import json
from pathlib import Path

import filelock
import pytest

from kdsearch.results.folder import LOCK, StudyFolder
from kdsearch.results.summary import made_from, written_summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study whose ``front.json`` is older than its journal."""
    (tmp_path / "study.json").write_text('{"state": "running"}')
    (tmp_path / "resolved.yaml").write_text("study: {name: x}")
    (tmp_path / "trials.jsonl").write_text("one\n")
    (tmp_path / LOCK).touch()
    content = {"made_from": made_from(tmp_path), "front": []}
    (tmp_path / "front.json").write_text(json.dumps(content))
    (tmp_path / "trials.jsonl").write_text("one\ntwo\n")
    return tmp_path


def test_a_lock_tells_that_it_runs_and_none_that_it_was_killed(folder: Path) -> None:
    assert StudyFolder(folder).runs() is False
    assert written_summary(folder, "front") is None
    with filelock.FileLock(folder / LOCK):
        assert StudyFolder(folder).runs() is True
        assert written_summary(folder, "front") is not None


def test_a_reader_that_has_the_lock_of_an_ended_study_makes_no_old_front_a_new_one(
    folder: Path,
) -> None:
    (folder / "study.json").write_text('{"state": "failed"}')
    with filelock.FileLock(folder / LOCK):
        assert written_summary(folder, "front") is None


def test_a_lock_that_cannot_be_opened_does_not_tell(folder: Path) -> None:
    (folder / LOCK).unlink()
    (folder / LOCK).mkdir()  # root may open any file
    assert StudyFolder(folder).runs() is None
    assert written_summary(folder, "front") is not None, "its process may keep it"
