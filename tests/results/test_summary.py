"""The tables that a study's folder holds are shown only while they are of all that it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.export.report import write_tables
from kdsearch.results import summary
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.results.summary import written_summary
from kdsearch.spec import StudySpec
from kdsearch.spec.teaching import TEACHER
from tests.records import trial


@pytest.fixture
def directory(spec: StudySpec) -> StudyDirectory:
    """A study with two trials and its tables."""
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    size = {"parameters": 1000, "macs": 2000, "bytes": 4000}
    directory.update(state="running", teachers={TEACHER: {"size": size}})
    for number in range(2):
        directory.trials.append(trial(number, 0.5 + 0.1 * number, 100 * (number + 1)))
    write_tables(Study(directory))
    return directory


@pytest.mark.parametrize("name", ["front", "ranking"])
def test_it_holds_the_rows_of_the_study_and_what_they_are(
    directory: StudyDirectory, name: str
) -> None:
    found = written_summary(directory.path, name)
    assert found is not None
    table = getattr(Study(directory), name)
    key = "trial" if name == "front" else "method"
    assert [row[key] for row in found[name]] == list(table[key])
    assert (found["study"], found["objective"]) == ("tiny", "accuracy")
    assert found["metrics"]["accuracy"]["unit"] == "%"


def test_it_stays_of_use_when_the_study_is_finished(directory: StudyDirectory) -> None:
    directory.update(state="finished", phase="done", mlflow={"run_id": "1"})
    assert written_summary(directory.path, "front") is not None


def _trial_more(directory: StudyDirectory) -> None:
    directory.trials.append(trial(2, 0.9, 300))


def _finalist_more(directory: StudyDirectory) -> None:
    directory.finalists.append(trial(0, 0.9, 300))


def _other_finalists(directory: StudyDirectory) -> None:
    file = directory.path / "resolved.yaml"
    file.write_text(file.read_text().replace("max: 2", "max: 1"))


def _other_teacher(directory: StudyDirectory) -> None:
    directory.update(teachers={TEACHER: {"size": {"parameters": 5, "macs": 5, "bytes": 5}}})


def _torn(directory: StudyDirectory) -> None:
    file = directory.path / "front.json"
    file.write_bytes(file.read_bytes()[:-20])


def _of_an_earlier_kdsearch(directory: StudyDirectory) -> None:
    file = directory.path / "front.json"
    content = json.loads(file.read_text())
    del content["made_from"]
    file.write_text(json.dumps(content))


def _gone(directory: StudyDirectory) -> None:
    (directory.path / "front.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        _trial_more,
        _finalist_more,
        _other_finalists,
        _other_teacher,
        _torn,
        _of_an_earlier_kdsearch,
        _gone,
    ],
)
def test_it_is_not_shown_once_something_is_otherwise(
    directory: StudyDirectory, change: Callable[[StudyDirectory], None]
) -> None:
    assert written_summary(directory.path, "front") is not None
    change(directory)
    assert written_summary(directory.path, "front") is None


def test_while_the_study_runs_what_was_written_last_is_shown(directory: StudyDirectory) -> None:
    written = written_summary(directory.path, "front")
    _trial_more(directory)
    with directory.locked():
        assert written_summary(directory.path, "front") == written
    assert written_summary(directory.path, "front") is None


def test_a_running_study_of_another_spec_or_version_is_read_anew(
    directory: StudyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with directory.locked():
        _other_finalists(directory)
        assert written_summary(directory.path, "front") is None
        write_tables(Study(directory))
        assert written_summary(directory.path, "front") is not None
        monkeypatch.setattr(summary, "version", lambda name: "99")
        assert written_summary(directory.path, "front") is None


def test_that_of_another_version_is_not_shown(
    directory: StudyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "version", lambda name: "99")
    assert written_summary(directory.path, "front") is None


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study in"):
        written_summary(tmp_path / "absent", "front")
