"""The URI of a study's MLflow store: given, inherited, or kept with the study."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import mlflow
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from kdsearch.errors import StudyError
from kdsearch.results.study import Study
from kdsearch.spec.sections import TrackingSection

MASK = "***"
"""Stands where a password was."""


def tracking_uri(tracking: TrackingSection) -> str:
    """The URI of the spec, else ``MLFLOW_TRACKING_URI``, else MLflow's own default.

    A SQLite file that is given by a relative path lies in the current directory, and is told by
    its absolute path, so that it stays the same from any other.
    """
    uri = tracking.uri or mlflow.get_tracking_uri()
    file = sqlite_file(uri)
    if file is None or file.is_absolute():
        return uri
    return make_url(uri).set(database=str(file.absolute())).render_as_string(hide_password=False)


def resumed_uri(tracking: TrackingSection, study: Study) -> str:
    """The URI of the store in which a study goes on.

    What neither the spec nor the environment says, or only by the relative path of a SQLite file,
    is as it was when the study was started, perhaps from another directory.

    Raises:
        StudyError: The password of the store is not known.
    """
    given = tracking.uri or (mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None)
    kept = (study.state.get("mlflow") or {}).get("uri")
    if kept and (given is None or _is_end_of(given, kept)):
        return study_uri(study)
    return tracking_uri(tracking)


def study_uri(study: Study) -> str:
    """The URI of the store that has the study, with the password that the study does not keep.

    Raises:
        StudyError: The password is not known.
    """
    current = tracking_uri(study.spec.tracking)
    shown = (study.state.get("mlflow") or {}).get("uri", shown_uri(current))
    if shown_uri(current) == shown:
        return current
    if MASK in shown:
        raise StudyError(
            f"the password of the MLflow store at {shown} is not kept with the study; set "
            "MLFLOW_TRACKING_URI to the URI with the password in it"
        )
    return shown


def shown_uri(text: str) -> str:
    """A URI, or a sentence with URIs in it, without the passwords."""
    text = re.sub(r"(//[^/:@\s]*):(?!\d+/)\S*?@(?=[^@/\s]*(?:[/\s]|$))", rf"\1:{MASK}@", text)
    return re.sub(r"([?&]password=)[^&\s]*", rf"\1{MASK}", text)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; ``None`` for every other, also for one in memory."""
    with suppress(ArgumentError):
        url = make_url(uri)
        path = url.database or ":memory:"
        if url.get_backend_name() == "sqlite" and not path.startswith((":memory:", "file:")):
            return Path(path)
    return None


def _is_end_of(given: str, kept: str) -> bool:
    """Whether the relative path of a SQLite file is the end of the path of another."""
    file, there = sqlite_file(given), sqlite_file(kept)
    return bool(file and there and not file.is_absolute() and there.match(str(file)))
