"""No byte that a study leaves holds a password, and a resume finds it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mlflow.exceptions import MlflowException

from kdsearch.api import _stop
from kdsearch.errors import StudyError
from kdsearch.execution.observers import Observers
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import StudySpec, load_spec, parse_spec
from kdsearch.tracking.recorder import Recorder
from kdsearch.tracking.store import Store, open_store, tracking_uri
from kdsearch.tracking.sync import sync
from tests.tracking.playing import finish, flaky, play

SECRET = "Zq7pass"
URI = f"http://me:{SECRET}@mlflow:5000"
SHOWN = "http://me:***@mlflow:5000"
STORAGE = f"s3://{SECRET}key:{SECRET}@bucket/a?secret_key={SECRET}"


def with_secrets(spec_text: str) -> StudySpec:
    """Passwords in a value, a comment, an option of the user's own, and an override."""
    text = spec_text.replace("tracking:", f"# once {URI}\ntracking:")
    options = f"data.options={{place: 'http://me:{SECRET} {SECRET}@h'}}"
    return parse_spec(text, [options, f"tracking.uri={URI}", f"resources.storage={STORAGE}"])


def leaves_no_secret(folder: Path) -> int:
    """Looks through every file; how many there are."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path
        assert SECRET not in str(path)
    return len(files)


@pytest.mark.parametrize("end", ["finished", "failed", "away"])
def test_no_file_and_no_line_holds_a_password(
    study: Study,
    store: Store,
    records: list[TrialRecord],
    spec_text: str,
    tmp_path: Path,
    end: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    study.directory.create(with_secrets(spec_text), study.directory.inputs())
    study = Study(study.directory)
    store, client = flaky(replace(store, uri=URI))
    recorder = Recorder(store)
    recorder.study_started(study)
    client.error = MlflowException(f"no answer from mlflow with {SECRET} ({URI}/api)")
    play(recorder, records)
    if end == "finished":
        finish(recorder, study)
    elif end == "failed":
        _stop(study, Observers([recorder]), ValueError(f"{STORAGE} {URI}/x"))
    else:
        client.go_away()
        recorder.study_finished(study)
        assert f"written to {SHOWN} (no answer from mlflow with ***" in capfd.readouterr().err
    assert leaves_no_secret(tmp_path) > 8
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    assert study.state["mlflow"]["uri"] == SHOWN
    kept = (study.directory.path / "spec.yaml").read_text()
    assert kept == spec_text.replace("tracking:", f"# once {SHOWN}\ntracking:")
    resolved = yaml.safe_load((study.directory.path / "resolved.yaml").read_text())
    assert resolved["tracking"]["uri"] == SHOWN
    assert resolved["resources"]["storage"] == "s3://***:***@bucket/a?secret_key=***"


def test_a_resume_takes_the_password_from_the_spec(study: Study, spec_text: str) -> None:
    spec = with_secrets(spec_text)
    study.directory.create(spec, study.directory.inputs())
    study.directory.check(spec, resume=True)
    assert tracking_uri(spec.tracking) == URI
    other = parse_spec(spec_text, ["data.options={place: 'http://you:x@h'}"])
    with pytest.raises(StudyError, match=r"another data.options.place \(http://me:\*\*\*@h, now "):
        study.directory.check(other, resume=True)


def test_a_resume_of_the_kept_spec_takes_it_from_the_environment(
    study: Study, spec_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.directory.create(with_secrets(spec_text), study.directory.inputs())
    kept = load_spec(study.directory.path / "resolved.yaml")
    study.directory.check(kept, resume=True)
    told = rf"the password of the MLflow store at {SHOWN}".replace("*", r"\*")
    for inherited in (None, "http://you:other@mlflow:5000", "http://me:x@elsewhere"):
        if inherited is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", inherited)
        with pytest.raises(StudyError, match=f"{told} .* set MLFLOW_TRACKING_URI to the URI"):
            open_store(kept.tracking)
        with pytest.raises(StudyError, match=told):
            sync(Study(study.directory))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    assert tracking_uri(kept.tracking) == URI


def test_a_password_of_stars_is_a_password(spec: StudySpec) -> None:
    uri = "http://me:a***b@mlflow"
    assert tracking_uri(spec.tracking.model_copy(update={"uri": uri})) == uri
