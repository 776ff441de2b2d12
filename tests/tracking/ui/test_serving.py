"""Which store MLflow's UI is opened on, password and all."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path

import pytest

from kdsearch.errors import StudyError, UserError
from kdsearch.results.study import Study
from kdsearch.tracking.ui import serving
from kdsearch.tracking.ui.serving import serve_ui
from tests.servers import free_ports

PLACE = {"experiment_id": "7", "run_id": "abc"}
PAGE = "#/experiments/7/runs/abc?workflowType=machine_learning"


class Served:
    """Stands for MLflow's server, and notes what it was started with."""

    def __init__(self, uri: str, host: str, port: int, address: str) -> None:
        self.address = address
        started.append(uri)

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        started.append("ended")

    def wait_for_answer(self) -> None:
        started.append("answers")

    def wait_for_end(self) -> None:
        started.append("waited")


started: list[str] = []


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    started.clear()
    monkeypatch.setattr(serving, "UiProcess", Served)
    monkeypatch.setattr(webbrowser, "open", started.append)
    return free_ports(1)[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_current_uri_counts_where_it_is_the_same_store(
    study: Study,
    host: str,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    study.directory.update(mlflow=PLACE | {"uri": "postgresql://me:***@db/mlflow"})
    serve_ui(study.directory, host, port)
    assert started == ["postgresql://me:secret@db/mlflow", "answers", "waited", "ended"]
    assert capsys.readouterr().out == f"http://127.0.0.1:{port}/{PAGE}\n"


def test_a_file_counts_before_the_current_uri_and_must_be_there(
    study: Study, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    file = tmp_path / "kept.db"
    study.directory.update(mlflow=PLACE | {"uri": f"sqlite:///{file}"})
    with pytest.raises(StudyError, match=r"kept.db, which .* is gone; make it again by kdsearch"):
        serve_ui(study.directory, "127.0.0.1", port)
    file.touch()
    serve_ui(study.directory, "127.0.0.1", port)
    assert started[0] == f"sqlite:///{file}"


def test_a_server_is_opened_with_its_password_and_told_without(
    study: Study, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow:5000/")
    study.directory.update(mlflow=PLACE | {"uri": "http://me:***@mlflow:5000/"})
    serve_ui(study.directory, "127.0.0.1", port)
    assert started == [f"http://me:secret@mlflow:5000/{PAGE}"]
    assert capsys.readouterr().out == f"http://me:***@mlflow:5000/{PAGE}\n"


def test_a_password_that_nobody_knows_is_asked_for(study: Study, port: int) -> None:
    study.directory.update(mlflow=PLACE | {"uri": "http://me:***@mlflow:5000"})
    with pytest.raises(StudyError, match="MLFLOW_TRACKING_URI"):
        serve_ui(study.directory, "127.0.0.1", port)
    assert started == []


def test_a_study_without_a_record_is_told_how_to_get_one(study: Study, port: int) -> None:
    study.directory.update(mlflow=None)
    with pytest.raises(StudyError, match=f"make it by kdsearch sync {study.directory.path}"):
        serve_ui(study.directory, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid"])
def test_where_nothing_can_listen_nothing_is_started(study: Study, host: str, port: int) -> None:
    study.directory.update(mlflow=PLACE | {"uri": "postgresql://db/mlflow"})
    with socket.create_server(("127.0.0.1", port)), pytest.raises(UserError) as caught:
        serve_ui(study.directory, host, port)
    assert f"nothing can listen on {host}, port {port}" in str(caught.value)
    assert "--port" in str(caught.value)
    assert started == []
