"""``front`` and ``ranking`` read the files of a study, without heavy imports."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from kdsearch.export.report import write_tables
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.spec import parse_spec
from kdsearch.spec.teaching import TEACHER
from kdsearch.ways import way_configs
from tests.conftest import TEXT
from tests.records import trial

from .test_start import WATCH, python

OWN = """
from kdsearch.problems import Metric
half = Metric("half", lambda of: 0.5, title="half of everything", unit="apples", highest=9.0)
"""


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    """A study whose objective is a metric of the user's own, with its tables."""
    (tmp_path / "own_metric.py").write_text(OWN)
    text = TEXT.format(directory=tmp_path).replace(
        "search: {trials: 12}", "search: {trials: 12, objective: 'own_metric:half'}"
    )
    directory = StudyDirectory.of(parse_spec(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        directory.create(parse_spec(text))
        size = {"parameters": 1000, "macs": 2000, "bytes": 4000}
        directory.update(state="interrupted", teachers={TEACHER: {"size": size}})
        for number in range(3):
            directory.trials.append(scored(number))
        write_tables(Study(directory))
    return directory


def scored(number: int):  # type: ignore[no-untyped-def]
    made = trial(number, 0.5, 100 * (number + 1))
    epochs = tuple(epoch | {"own_metric:half": 4.0 + number} for epoch in made.epochs)
    return made.model_copy(update={"epochs": epochs})


@pytest.mark.parametrize("command", ["front", "ranking"])
def test_no_heavy_import_is_needed_to_read(study: StudyDirectory, command: str) -> None:
    done = python("-c", WATCH, command, "tiny", cwd=study.path.parent)
    assert done.stdout.splitlines()[-1] == "code 0 heavy []"
    assert "half of everything" in done.stdout
    told = "the study was interrupted; kdsearch run SPEC --resume goes on with it"
    assert (told in done.stdout) is (command == "front")
    assert "apples" in done.stdout
    as_json = python("-c", WATCH, command, "tiny", "--json", cwd=study.path.parent)
    assert as_json.stdout.splitlines()[-1] == "code 0 heavy []"
    rows = json.loads("".join(as_json.stdout.splitlines()[:-1]))
    assert len(rows) == (2 if command == "front" else 1)


def test_the_ways_alone_are_ranked(study: StudyDirectory) -> None:
    where = study.path.parent
    told = python("-m", "kdsearch.cli", "ranking", "tiny", "--ways", cwd=where).stdout
    assert told.startswith("fewer than two ways have 3 complete trials")
    for number in range(3, 12):
        made = scored(number)
        ways = way_configs("quantize", {}) if number % 2 else ()
        model = made.task.model.model_copy(update={"ways": ways})
        task = made.task.model_copy(update={"model": model})
        study.trials.append(made.model_copy(update={"task": task}))
    told = python("-m", "kdsearch.cli", "ranking", "tiny", "--ways", cwd=where).stdout
    assert told.startswith("ways of tiny by size")
    assert "methods" not in told.splitlines()[0]
    found = python("-m", "kdsearch.cli", "ranking", "tiny", "--ways", "--json", cwd=where).stdout
    rows = json.loads(found)
    assert {row["way"] for row in rows} == {"none", "quantize"}
    largest = [row for row in rows if row["at_most"] == max(row["at_most"] for row in rows)]
    assert [row["fits"] for row in largest] == [row["trials"] for row in largest]


def test_a_study_that_has_gone_on_is_read_anew(study: StudyDirectory) -> None:
    before = python("-m", "kdsearch.cli", "front", "tiny", "--json", cwd=study.path.parent).stdout
    study.trials.append(scored(3))
    after = python("-m", "kdsearch.cli", "front", "tiny", "--json", cwd=study.path.parent).stdout
    assert [row["trial"] for row in json.loads(before)] == [0, 2]  # finalists.max is 2
    assert [row["trial"] for row in json.loads(after)] == [0, 3]


@pytest.mark.parametrize("command", ["front", "ranking", "pick"])
def test_a_study_that_runs_is_shown_as_it_wrote_itself_last(
    study: StudyDirectory, command: str
) -> None:
    study.update(state="running")
    if command == "pick":  # which nobody is yet, since no finalist is judged
        words, code = [command, "tiny"], 1
    else:
        words, code = [command, "tiny", "--json"], 0
    with study.locked():
        before = python("-c", WATCH, *words, cwd=study.path.parent)
        study.trials.append(scored(3))
        after = python("-c", WATCH, *words, cwd=study.path.parent)
    assert after.stdout == before.stdout
    assert after.stdout.splitlines()[-1] == f"code {code} heavy []"
    written = json.loads((study.path / "front.json").read_text())["written"]
    then = time.strftime("%H:%M:%S", time.localtime(written))
    assert f"the study runs; at {then} it stood so" in after.stderr


def test_a_study_that_was_killed_is_read_anew_once(study: StudyDirectory) -> None:
    study.update(state="running")
    study.trials.append(scored(3))
    first = python("-c", WATCH, "front", "tiny", cwd=study.path.parent)
    assert "'torch'" in first.stdout.splitlines()[-1]
    again = python("-c", WATCH, "front", "tiny", cwd=study.path.parent)
    assert again.stdout.splitlines()[-1] == "code 0 heavy []"
    assert again.stdout.splitlines()[:-1] == first.stdout.splitlines()[:-1]
    assert "the study was killed; kdsearch run SPEC --resume goes on with it" in again.stdout
    assert [row["trial"] for row in Study(study).front.to_dict("records")] == [0, 3]
