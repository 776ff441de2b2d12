"""A study that exists, does not, or is another one; an unknown method; a wrong call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.results.directory import StudyDirectory
from kdsearch.spec import load_spec
from tests.command_line import CallCommand

from .command import Command


@pytest.fixture
def study(folder: Path) -> StudyDirectory:
    """A study that has run under the spec."""
    directory = StudyDirectory(folder / "studies" / "small")
    directory.create(load_spec(folder / "spec.yaml"))
    directory.update(state="finished")
    return directory


@pytest.mark.usefixtures("study")
def test_a_name_that_is_taken_is_refused(kdsearch: Command) -> None:
    told = kdsearch("run", "spec.yaml")
    assert told.code == 2
    assert told.sentence == (
        "a study named 'small' exists in studies/small; go on with it by --resume, or choose "
        "another name with --set study.name=NAME"
    )


@pytest.mark.usefixtures("study")
def test_a_dry_run_of_a_name_that_is_taken_tells_so(call_command: CallCommand) -> None:
    code, out, _ = call_command("run", "spec.yaml", "--dry-run")
    assert code == 0
    assert "cost on this machine" in out
    assert "note: run would refuse this: a study named 'small' exists in studies/small" in out
    assert "--show-spec" in out


@pytest.mark.usefixtures("study")
def test_a_study_is_not_resumed_under_another_spec(kdsearch: Command) -> None:
    told = kdsearch("run", "spec.yaml", "--resume", "--set", "students.0.width.high=2")
    assert told.code == 2
    assert "was made with another students.0.width.high (1.0, now 2.0)" in told.sentence
    assert "restore that value, or start a study of another name" in told.sentence


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_there_is_nothing_to_resume(kdsearch: Command, option: tuple[str, ...]) -> None:
    told = kdsearch("run", "spec.yaml", "--resume", *option)
    assert told.code == 2
    assert told.sentence == (
        "there is no study in studies/small to go on with; run it without --resume"
    )


def test_a_folder_that_is_no_study_is_not_written_into(kdsearch: Command, folder: Path) -> None:
    (folder / "studies" / "small").mkdir(parents=True)
    told = kdsearch("run", "spec.yaml")
    assert told.code == 2
    assert told.sentence.startswith("studies/small exists and holds no study; choose another")


def test_what_a_study_leaves_that_was_cut_off_at_once_is_in_nobodys_way(folder: Path) -> None:
    directory = StudyDirectory(folder / "studies" / "small")
    with directory.locked():
        pass
    directory.check(load_spec(folder / "spec.yaml"), resume=False)
    assert not directory.exists()
    (directory.path / "notes.txt").write_text("somebody's")
    with pytest.raises(StudyError, match="holds no study"):
        directory.check(load_spec(folder / "spec.yaml"), resume=False)


def test_a_file_in_the_place_of_the_studies_is_told(kdsearch: Command, folder: Path) -> None:
    (folder / "studies").write_text("in the way")
    told = kdsearch("run", "spec.yaml")
    assert told.code == 2
    assert "studies is not a folder; set study.directory to another folder" in told.sentence


@pytest.mark.parametrize("command", ["front", "ranking", "ui", "sync"])
def test_a_study_that_is_not_there_is_told(
    kdsearch: Command, folder: Path, study: StudyDirectory, command: str
) -> None:
    assert kdsearch(command, "studies/absent")[:2] == (
        2,
        "there is no study in studies/absent; check the path",
    )
    assert kdsearch(command, "spec.yaml")[:2] == (2, "spec.yaml is a file; give a study's folder")
    state = study.path / "study.json"
    for broken in ("{", json.dumps([1])):
        state.write_text(broken)
        told = kdsearch(command, "studies/small")
        assert told.code == 2
        assert told.sentence.startswith("studies/small/study.json ")
        assert told.sentence.endswith(
            "; restore it, or remove that file: kdsearch run SPEC --resume makes it again from the "
            "study's other files"
        )


@pytest.mark.parametrize("command", ["front", "ranking", "sync"])
def test_a_study_without_its_spec_is_told(
    kdsearch: Command, study: StudyDirectory, command: str
) -> None:
    (study.path / "study.json").write_text("{}")
    (study.path / "resolved.yaml").unlink()
    told = kdsearch(command, "studies/small")
    assert told.code == 2
    assert told.sentence.endswith("; restore its resolved.yaml")


def test_a_study_without_a_record_has_no_page(kdsearch: Command, study: StudyDirectory) -> None:
    told = kdsearch("ui", "studies/small")
    assert told.code == 2
    assert (
        f"has no record in MLflow; make it by kdsearch sync {study.path.absolute()}"
        in told.sentence
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dkdd", "unknown method 'dkdd'; did you mean 'dkd'?"),
        ("zzz", "unknown method 'zzz'; the nearest of"),
        ("kd+dkd", "more than one logit term"),
        ("", "the method's name is empty; "),
    ],
)
def test_an_unknown_method_comes_with_the_valid_ones(
    kdsearch: Command, name: str, words: str
) -> None:
    told = kdsearch("methods", name)
    assert told.code == 2
    assert words in told.sentence


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu", "spec.yaml"], "No such command 'rnu'"),
        (["run"], "Missing argument 'SPEC'"),
        (["run", "spec.yaml", "--dryrun"], "No such option"),
        (["run", "spec.yaml", "--set"], "requires an argument"),
        (["front"], "Missing argument 'STUDY'"),
        (["ranking"], "Missing argument 'STUDY'"),
        (["ui", "studies/small", "--port", "0"], "Invalid value for '--port'"),
        (["models", "resnet"], "unexpected extra argument"),
    ],
)
def test_a_wrong_call_is_told_with_the_usage(
    folder: Path,
    call_command: CallCommand,
    words: list[str],
    told: str,
) -> None:
    code, out, err = call_command(*words)
    assert code == 2
    assert out == ""
    assert told in err
    assert "Traceback" not in err
    assert [path.name for path in folder.iterdir()] == ["spec.yaml"]
