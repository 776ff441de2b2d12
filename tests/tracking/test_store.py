"""Which store a study has: from any directory, beside other studies, made by another MLflow."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from kdsearch.errors import StoreError
from kdsearch.results.study import Study
from kdsearch.spec.sections import TrackingSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.store import open_store
from kdsearch.tracking.sync import sync
from kdsearch.tracking.uri import resumed_uri, study_uri, tracking_uri

HERE = "sqlite:////start/sub/mlflow.db"
SERVER = "http://mlflow:5000"

OPEN = """
import sys
from kdsearch.spec.sections import TrackingSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.tracking.store import open_store
print("ready", flush=True)
sys.stdin.readline()
print(open_store(TrackingSection()).experiment_id)
"""


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("given", [None, "sqlite:///mlflow.db"])
def test_a_file_of_the_current_directory_stays_the_studys_from_any_other(
    given: str | None,
    study: Study,
    empty_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher = study.state["teachers"][TEACHER] | {"key": "key", "weights": "teacher.safetensors"}
    tracking = TrackingSection(uri=given)
    study.spec = study.spec.model_copy(update={"tracking": tracking})
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    first = f"sqlite:///{tmp_path}/first/mlflow.db"
    assert tracking_uri(tracking) == first
    study.directory.update(mlflow={"uri": first}, teachers={TEACHER: teacher})
    shutil.copy(empty_database, "mlflow.db")
    monkeypatch.chdir(tmp_path / "second")
    assert (resumed_uri(tracking, study), study_uri(study)) == (first, first)
    assert sync(study) == first
    assert not list((tmp_path / "second").iterdir())


@pytest.mark.parametrize(
    ("given", "inherited", "kept", "goes_on"),
    [
        (None, None, HERE, HERE),
        (None, SERVER, HERE, SERVER),
        ("sqlite:///sub/mlflow.db", None, HERE, HERE),
        (None, "sqlite:///mlflow.db", HERE, HERE),
        ("sqlite:///other.db", None, HERE, "sqlite:///{now}/other.db"),
        ("sqlite:////other/mlflow.db", None, HERE, "sqlite:////other/mlflow.db"),
        (SERVER, None, HERE, SERVER),
        ("http://me:secret@mlflow", None, "http://me:***@mlflow", "http://me:secret@mlflow"),
        (None, None, None, "sqlite:///{now}/mlflow.db"),
    ],
)
def test_a_study_goes_on_in_its_store_unless_another_is_named(
    given: str | None,
    inherited: str | None,
    kept: str | None,
    goes_on: str,
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if inherited:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", inherited)
    study.directory.update(mlflow=kept and {"uri": kept})
    tracking = TrackingSection(uri=given)
    study.spec = study.spec.model_copy(update={"tracking": tracking})
    assert resumed_uri(tracking, study) == goes_on.format(now=tmp_path)


def test_two_studies_that_start_at_once_in_a_new_folder_make_one_store(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ended = []
    for process in started:  # both before either is waited for
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        out, err = process.communicate(timeout=300)
        ended.append((process.returncode, out, err if process.returncode else ""))
    assert ended[0] == ended[1] == (0, ended[0][1], "")


def test_an_experiment_that_another_study_has_just_made_is_taken(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    tracking = TrackingSection(uri=f"sqlite:///{tmp_path}/mlflow.db")
    asked, find = [], MlflowClient.get_experiment_by_name

    def before_it_was_made(client: MlflowClient, name: str) -> object:
        asked.append(name)
        if len(asked) == 1:
            client.create_experiment(name)
            return None
        return find(client, name)

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", before_it_was_made)
    first = open_store(tracking)
    assert open_store(tracking).experiment_id == first.experiment_id


def test_a_database_of_another_mlflow_is_told_with_the_command(
    tmp_path: Path, empty_database: Path
) -> None:
    file = tmp_path / "my store.db"
    shutil.copy(empty_database, file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(StoreError, match="another version of MLflow") as caught:
        open_store(TrackingSection(uri=f"sqlite:///{file}"))
    assert f"mlflow db upgrade 'sqlite:///{file}', or" in str(caught.value)
    assert "\n" not in str(caught.value)
