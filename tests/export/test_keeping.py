"""What a running study keeps for its readers, from a thread beside the search."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from kdsearch.export import keeping
from kdsearch.export.keeping import keeping_summaries
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.results.summary import written_summary
from tests.export.conftest import Trained


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def test_what_readers_see_follows_the_journals_and_ends_with_the_block(
    study: Study, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LEAST_SECONDS", 0.02)
    monkeypatch.setattr(keeping, "SHARE", 1.0)
    directory: StudyDirectory = study.directory
    file = directory.path / "front.json"

    def shown() -> list[int]:
        return [row["trial"] for row in json.loads(file.read_text())["front"]]

    with keeping_summaries(directory.path):
        assert _within(20, file.exists)
        assert shown() == [7]
        smaller = {"number": 9, "parameter_count": trained.finalist.trial.parameter_count - 1}
        directory.trials.append(trained.finalist.trial.model_copy(update=smaller))
        assert _within(20, lambda: shown() == [9])
        assert _within(20, lambda: written_summary(directory.path, "ranking") is not None)
    file.unlink()
    directory.trials.append(trained.finalist.trial.model_copy(update={"number": 10}))
    time.sleep(0.2)
    assert not file.exists()


def test_a_journal_that_cannot_be_read_costs_the_study_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LEAST_SECONDS", 0.02)
    monkeypatch.setattr(keeping, "SHARE", 1.0)
    file, sound = study.directory.path / "front.json", study.directory.trials.path.read_bytes()
    study.directory.trials.path.write_bytes(b"no record\n")
    with keeping_summaries(study.directory.path):
        time.sleep(0.3)
        assert not file.exists()
        study.directory.trials.path.write_bytes(sound)
        assert _within(20, file.exists)
