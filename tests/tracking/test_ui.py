"""MLflow's UI is started on the store that has the study, password and all."""

from __future__ import annotations

import subprocess
import webbrowser

import pytest

from kdsearch.errors import StudyError
from kdsearch.results.study import Study
from kdsearch.tracking.ui import serve_ui
from kdsearch.tracking.uri import shown_uri

PLACE = {"experiment_id": "7", "run_id": "abc"}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the server's command, or the page that was opened."""
    words: list[str] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[bytes]:
        words.extend(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(webbrowser, "open", words.append)
    return words


def without_uri(study: Study) -> Study:
    tracking = study.spec.tracking.model_copy(update={"uri": None})
    study.spec = study.spec.model_copy(update={"tracking": tracking})
    return study


@pytest.mark.parametrize("stored", ["sqlite:///kept.db", "postgresql://me:***@db/mlflow"])
def test_the_current_uri_counts_where_it_is_the_same_store(
    study: Study, stored: str, served: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    study.directory.update(mlflow=PLACE | {"uri": stored})
    assert serve_ui(without_uri(study), "127.0.0.1", 5001) == 0
    uri = served[served.index("--backend-store-uri") + 1]
    expected = stored if stored.startswith("sqlite") else "postgresql://me:secret@db/mlflow"
    assert uri == expected


def test_a_server_is_opened_with_its_password_and_told_without(
    study: Study,
    served: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow:5000/")
    study.directory.update(mlflow=PLACE | {"uri": "http://me:***@mlflow:5000/"})
    assert serve_ui(without_uri(study), "127.0.0.1", 5001) == 0
    assert served == ["http://me:secret@mlflow:5000/#/experiments/7/runs/abc"]
    assert capsys.readouterr().out == "http://me:***@mlflow:5000/#/experiments/7/runs/abc\n"


def test_a_password_that_nobody_knows_is_asked_for(study: Study, served: list[str]) -> None:
    study.directory.update(mlflow=PLACE | {"uri": "http://me:***@mlflow:5000"})
    with pytest.raises(StudyError, match="MLFLOW_TRACKING_URI"):
        serve_ui(study, "127.0.0.1", 5001)
    assert served == []


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:secret@db:5432/mlflow", "postgresql://me:***@db:5432/mlflow"),
        ("http://me:a@b:c@mlflow", "http://me:***@mlflow"),
        ("mysql+pymysql://me:a/b@db/mlflow", "mysql+pymysql://me:***@db/mlflow"),
        ("postgresql://db/mlflow?user=me&password=secret", None),
        ("http://mlflow:5000/team@home", "http://mlflow:5000/team@home"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
    ],
)
def test_passwords_are_masked_and_nothing_else(uri: str, shown: str | None) -> None:
    expected = shown or "postgresql://db/mlflow?user=me&password=***"
    assert shown_uri(uri) == expected
    assert shown_uri(f"to {uri} it goes") == f"to {expected} it goes"
