"""The folder of a study when files of it are lost, damaged, or another process comes first."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pytest

from kdsearch import files
from kdsearch.errors import StudyError
from kdsearch.files import partial_file
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.resume import DataFacts, Inputs
from kdsearch.results.study import Study
from kdsearch.spec import StudySpec, parse_spec
from tests.records import trial

PAST = [{"method": "kd", "kd.temperature": 4.25, "student": "mlp"}]
INPUTS = Inputs(
    id="1234",
    data=DataFacts(
        name="digits", fingerprint="f" * 64, train=300, validation=80, inputs={"image": (1, 8, 8)}
    ),
    checkpoints={"teacher": "c0ffee"},
    past=PAST,
)


@pytest.fixture
def directory(spec_text: str) -> StudyDirectory:
    """A study that was cut off after its first trial, made with an override."""
    spec = parse_spec(spec_text, ["search.trials=5"])
    found = StudyDirectory.of(spec)
    found.create(spec, INPUTS)
    found.update(state="running", **INPUTS.model_dump(include={"id", "data", "checkpoints"}))
    found.trials.append(trial(0, 0.5, 100))
    return found


@pytest.fixture
def resumed(spec_text: str) -> StudySpec:
    return parse_spec(spec_text, ["search.trials=5"])


def read(directory: StudyDirectory) -> Inputs:
    return directory.inputs().model_copy(update={"spec": None})


def go_on(directory: StudyDirectory, spec: StudySpec) -> None:
    directory.check(spec, resume=True)
    directory.inputs()


@pytest.mark.parametrize("name", ["study.json", "resolved.yaml", "inputs.json"])
@pytest.mark.parametrize("fault", ["gone", "empty"])
def test_a_file_that_is_lost_is_made_again_from_the_others(
    directory: StudyDirectory, resumed: StudySpec, name: str, fault: str
) -> None:
    before = directory.spec().model_dump()
    path = directory.path / name
    path.unlink()
    if fault == "empty":
        path.touch()
    assert directory.lost() == ([name] if fault == "gone" else [])
    assert directory.exists()
    directory.check(resumed, resume=True)
    with pytest.raises(StudyError, match="go on with it by --resume"):
        directory.check(resumed, resume=False)
    assert directory.spec().model_dump() == before
    kept = INPUTS if name != "inputs.json" else INPUTS.model_copy(update={"past": None})
    assert read(directory) == kept
    if name == "study.json" and fault == "empty":
        return  # which --resume asks to remove
    directory.create(resumed, INPUTS)
    directory.update(state="running")
    assert directory.lost() == []
    assert Study.open(directory.path).state["state"] == "running"
    assert read(directory) == INPUTS


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (("study.json", "inputs.json"), "restore its inputs.json or study.json, and keep the"),
        (("resolved.yaml", "inputs.json"), "restore its resolved.yaml"),
    ],
)
def test_what_no_file_tells_is_asked_for_and_no_trial_is_given_up(
    directory: StudyDirectory, resumed: StudySpec, lost: tuple[str, str], told: str
) -> None:
    for name in lost:
        (directory.path / name).unlink()
    with pytest.raises(StudyError) as caught:
        go_on(directory, resumed)
    assert told in str(caught.value)
    assert "remove" not in str(caught.value)
    with pytest.raises(StudyError) as taken:
        directory.check(resumed, resume=False)
    assert "remove" not in str(taken.value)


def test_a_lost_state_is_told_to_those_who_only_read(directory: StudyDirectory) -> None:
    (directory.path / "study.json").unlink()
    with pytest.raises(StudyError, match=r"study.json is missing; kdsearch run SPEC --resume"):
        Study.open(directory.path)


@pytest.mark.parametrize("name", ["resolved.yaml", "inputs.json"])
def test_another_spec_is_refused_although_a_file_is_lost(
    directory: StudyDirectory, spec_text: str, name: str
) -> None:
    (directory.path / name).unlink()
    with pytest.raises(StudyError, match=r"another study.seed \(3, now 4\)"):
        directory.check(parse_spec(spec_text, ["study.seed=4"]), resume=True)


def test_what_was_given_comes_back_to_the_last_bit(
    directory: StudyDirectory, resumed: StudySpec
) -> None:
    past = [{"lr": 0.1 + 0.2, "width": 1e-17 / 3, "depth": 3, "method": "kd+at", "on": True}]
    directory.create(resumed, INPUTS.model_copy(update={"past": past}))
    assert directory.inputs().past == past


def test_unfinished_files_of_a_killed_start_are_in_nobodys_way(
    spec: StudySpec, tmp_path: Path
) -> None:
    directory = StudyDirectory.of(spec)
    with directory.locked():
        (directory.path / ".spec.yaml.4711.partial").write_text("half")
    directory.check(spec, resume=False)
    assert not directory.exists()
    directory.create(spec, INPUTS)
    assert directory.exists()
    assert directory.spec().study == spec.study


def test_unfinished_files_of_killed_processes_go_when_the_study_goes_on(
    directory: StudyDirectory,
) -> None:
    left = [
        folder / ".some.file.another-node-4711.partial"
        for folder in (directory.path, directory.weights, directory.student(3))
    ]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    own = partial_file(directory.path / "front.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_NODE", "another")
        assert partial_file(directory.path / "front.csv") != own
    own.write_text("half")
    with directory.locked():
        assert [file.exists() for file in (*left, own)] == [False, False, False, True]


def test_a_folder_that_has_vanished_is_not_made_again_in_part(directory: StudyDirectory) -> None:
    shutil.rmtree(directory.path)
    with pytest.raises(FileNotFoundError, match=str(directory.path)):
        directory.update(state="failed")
    assert not directory.path.exists()


def _hold(path: Path, ready: object, end: object) -> None:
    with StudyDirectory(path).locked():
        ready.set()  # type: ignore[attr-defined]
        end.wait()  # type: ignore[attr-defined]


def test_the_lock_is_held_against_another_process_until_that_ends(spec: StudySpec) -> None:
    directory = StudyDirectory.of(spec)
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(directory.path, ready, end))
    other.start()
    assert ready.wait(60)
    with pytest.raises(StudyError, match="another process is running"), directory.locked():
        pytest.fail("two processes hold it")
    other.kill()
    other.join()
    with directory.locked():
        assert (directory.path / ".lock").is_file()


def test_a_study_stays_the_same_when_the_directory_is_changed(
    directory: StudyDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory.path.parent)
    study = Study.open(directory.path.name)
    monkeypatch.chdir(tmp_path.parent)
    assert study.state["state"] == Study.open(directory.path).state["state"]
    assert study.directory.path == directory.path.absolute()
