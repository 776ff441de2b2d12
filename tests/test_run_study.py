"""How a study begins and breaks: other processes, full disks, lost files; without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from kdsearch import api
from kdsearch.errors import RunError, StudyError
from kdsearch.execution.observers import Observer
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.study import Study
from kdsearch.spec import StudySpec, parse_spec
from tests.command_line import CallCommand
from tests.empty_database import put_database
from tests.full_disk import no_room_for
from tests.records import trial
from tests.space.own_networks import linear_softmax


class Breaks(Observer):
    """Does something when the study has started."""

    def __init__(self, action: Callable[[Study], object]) -> None:
        self.study_started = action  # type: ignore[method-assign,assignment]


def fill_disk(study: Study) -> None:
    with Path("/dev/full").open("w") as file:
        file.write("more than there is room for")


@pytest.fixture(autouse=True)
def directory(spec: StudySpec, tmp_path: Path) -> StudyDirectory:
    put_database(tmp_path)
    return StudyDirectory.of(spec)


@pytest.fixture(autouse=True)
def while_ray_starts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``while_ray_starts(action)``: what happens meanwhile; Ray itself is not started."""

    def put(session: Callable[..., AbstractContextManager[None]]) -> None:
        monkeypatch.setattr(api, "ray_session", session)

    def act(action: Callable[[], object]) -> None:
        @contextmanager
        def session(*_: object) -> Iterator[None]:
            action()
            yield

        put(session)

    put(lambda *_: nullcontext())
    monkeypatch.setattr(api, "ray_watched", lambda *_: nullcontext())  # or it would start one
    return act


def runs(spec: StudySpec) -> list[str]:
    """The states of all runs of the study's store."""
    client = MlflowClient(spec.tracking.uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.info.status for run in client.search_runs(ids)]


def test_who_comes_second_does_not_take_over(
    spec: StudySpec,
    spec_text: str,
    directory: StudyDirectory,
    while_ray_starts: Callable[[Callable[[], object]], None],
) -> None:
    """Between the check and the lock, another process runs a study of the name to its end."""
    other = parse_spec(spec_text, ["study.seed=99"])

    def come_first() -> None:
        with directory.locked():
            directory.create(other)
            directory.update(state="finished")

    while_ray_starts(come_first)
    with pytest.raises(StudyError, match="a study named 'tiny' exists"):
        api.run_study(spec)
    assert directory.spec().study.seed == 99
    assert directory.state()["state"] == "finished"
    assert runs(spec) == []


def test_a_full_disk_is_one_sentence_and_the_study_is_closed(
    spec: StudySpec, directory: StudyDirectory
) -> None:
    with pytest.raises(RunError) as caught:
        api.run_study(spec, observers=[Breaks(fill_disk)])
    told = f"{directory.path}: No space left on device; free space there, then go on with --resume"
    assert str(caught.value) == told
    assert (directory.state()["state"], directory.state()["reason"]) == ("failed", told)
    assert runs(spec) == ["FAILED"]


def test_an_error_is_not_hidden_by_what_fails_after_it(
    spec: StudySpec, directory: StudyDirectory
) -> None:
    """The state cannot be written either, and MLflow's run is closed nevertheless."""

    def break_and_fill(study: Study) -> None:
        no_room_for(directory.path / "study.json")
        raise ValueError("the first error")

    with pytest.raises(ValueError, match="the first error"):
        api.run_study(spec, observers=[Breaks(break_and_fill)])
    assert directory.state()["state"] == "running"
    assert runs(spec) == ["FAILED"]


def test_a_file_that_cannot_be_written_at_the_start_is_named(
    spec: StudySpec, directory: StudyDirectory
) -> None:
    directory.path.mkdir()
    (directory.path / ".lock").touch()
    no_room_for(directory.path / "spec.yaml")
    with pytest.raises(RunError) as caught:
        api.run_study(spec)
    assert str(caught.value) == (
        f"{directory.path}/spec.yaml: No space left on device; free space there, then run it again"
    )
    assert not directory.exists()


def test_a_lock_that_is_a_folder_is_told(spec: StudySpec, directory: StudyDirectory) -> None:
    (directory.path / ".lock").mkdir(parents=True)
    with pytest.raises(RunError, match=r"\.lock: .*; fix that, then run it again"):
        api.run_study(spec)


def test_a_lost_state_is_made_again_by_a_resume_with_a_word(
    spec: StudySpec, directory: StudyDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError):
        api.run_study(spec, observers=[Breaks(fill_disk)])
    before = directory.state()
    directory.trials.append(trial(0, 0.5, 100))
    for name in ("study.json", "resolved.yaml"):
        (directory.path / name).unlink()
    capsys.readouterr()
    with pytest.raises(RunError, match="No space left"):
        api.run_study(spec, resume=True, observers=[Breaks(fill_disk)])
    assert capsys.readouterr().err == (
        f"kdsearch: study.json and resolved.yaml of the study in {directory.path} is missing and "
        "made again from its other files; search.max_hours counts from now on\n"
    )
    assert {name: directory.state()[name] for name in ("id", "data", "mlflow")} == {
        name: before[name] for name in ("id", "data", "mlflow")
    }
    assert len(directory.trials.read()) == 1
    assert runs(spec) == ["FAILED"]


def test_a_resume_from_another_directory_goes_on_in_the_store_of_before(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither start names a store: the first finds MLflow's own in its directory."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    spec = parse_spec(spec_text, ["tracking={}"])
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    put_database(one)
    found = []
    for folder, resume in ((one, False), (other, True)):
        monkeypatch.chdir(folder)
        with pytest.raises(RunError, match="No space left"):
            api.run_study(spec, resume=resume, observers=[Breaks(fill_disk)])
        found.append(StudyDirectory.of(spec).state()["mlflow"])
    assert found[0] == found[1]
    assert found[0]["uri"] == f"sqlite:///{one}/mlflow.db"
    assert not list(other.iterdir())


class Hears(Breaks):
    """Notes what it is warned of, up to the search."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.told: list[str] = []

    def warned(self, message: str) -> None:
        self.told.append(message)


def test_what_is_odd_about_data_and_teacher_is_told_before_anything_is_trained(
    spec_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_command: CallCommand
) -> None:
    """To who runs the study, and by ``validate`` and ``run --dry-run``."""
    network = torch.nn.Linear(64, 10)
    torch.save({f"1.{k}": v for k, v in network.state_dict().items()}, tmp_path / "teacher.pt")
    family = f"tests.space.own_networks:{linear_softmax.__name__}"
    teacher = f"{{model: {{family: '{family}'}}, checkpoint: '{tmp_path}/teacher.pt'}}"
    changes = [f"teacher={teacher}", "methods=[kd]", "students=[{family: mlp, width: 0.1}]"]

    def train(self: api.StudyRun) -> None:
        raise RunError("noted")

    monkeypatch.setattr(api.StudyRun, "run", train)
    hears = Hears()
    with pytest.raises(RunError, match="noted"):
        api.run_study(parse_spec(spec_text, changes), observers=[hears])
    said = "the teacher returns probabilities (a softmax)"
    assert any(told.startswith(said) for told in hears.told)
    (tmp_path / "space.yaml").write_text(spec_text)
    words = [word for change in (*changes, "study.name=b") for word in ("--set", change)]
    for command in (["validate"], ["run", "--dry-run"]):
        told = call_command(*command, str(tmp_path / "space.yaml"), *words)
        assert told.code == 0, told.err
        assert f"warning: {said}" in " ".join(told.out.split())


def test_other_data_is_refused_by_a_resume_and_a_dry_run_of_it(
    spec: StudySpec, directory: StudyDirectory, call_command: CallCommand, tmp_path: Path
) -> None:
    with pytest.raises(RunError):
        api.run_study(spec, observers=[Breaks(fill_disk)])
    state = directory.state()
    other = dict(state["data"], fingerprint="0" * 64)
    for name in ("inputs.json", "study.json"):
        file = directory.path / name
        file.write_text(file.read_text().replace(state["data"]["fingerprint"], "0" * 64))
    assert directory.inputs().data.fingerprint == other["fingerprint"]
    before = {path: path.read_bytes() for path in directory.path.iterdir()}
    with pytest.raises(StudyError, match=r"made from other data \(fingerprint 000000000000, now"):
        api.run_study(spec, resume=True)
    (tmp_path / "space.yaml").write_text((directory.path / "spec.yaml").read_text())
    told = call_command("run", str(tmp_path / "space.yaml"), "--resume", "--dry-run")
    assert told.code == 2
    assert "restore the data set, or start a study of another name" in told.err
    assert {path: path.read_bytes() for path in directory.path.iterdir()} == before


def test_a_retry_of_what_failed_is_handed_down(
    spec: StudySpec, monkeypatch: pytest.MonkeyPatch, call_command: CallCommand, tmp_path: Path
) -> None:
    with pytest.raises(RunError):
        api.run_study(spec, observers=[Breaks(fill_disk)])
    seen: list[bool] = []

    def note(self: api.StudyRun) -> None:
        seen.append(self.retry_failed)
        raise RunError("noted")

    monkeypatch.setattr(api.StudyRun, "run", note)
    (tmp_path / "space.yaml").write_text(spec.text)
    words = ("run", str(tmp_path / "space.yaml"))
    assert call_command(*words, "--resume", "--retry-failed").code == 1
    assert call_command(*words, "--resume").code == 1
    assert seen == [True, False]
    told = call_command(*words, "--retry-failed")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "give --resume too" in told.err
    with pytest.raises(StudyError, match="give --resume too"):
        api.run_study(spec, retry_failed=True)
