"""The URI of a study's MLflow store: given, inherited, or kept with the study."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from kdsearch.errors import StudyError
from kdsearch.redaction import MASK, redacted_uri

if TYPE_CHECKING:
    from kdsearch.results.study import Study
    from kdsearch.spec.sections import TrackingSection


def tracking_uri(tracking: TrackingSection) -> str:
    """The URI of the spec, else ``MLFLOW_TRACKING_URI``, else MLflow's own default.

    A SQLite file that is given by a relative path lies in the current directory, and is told by
    its absolute path, so that it stays the same from any other.

    Raises:
        StudyError: It is one that a study has kept, without its password, which is not known.
    """
    uri = _current() if tracking.uri is None else unmasked(tracking.uri)
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
    import mlflow

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
    known = study.state.get("mlflow")
    return unmasked(known["uri"]) if known else tracking_uri(study.spec.tracking)


def unmasked(uri: str) -> str:
    """A URI that a study has kept, with the password that ``MLFLOW_TRACKING_URI`` has for it.

    Raises:
        StudyError: The password is not known.
    """
    if MASK not in uri or redacted_uri(uri) != uri:
        return uri
    current = _current()
    if redacted_uri(current).rstrip("/") != uri.rstrip("/"):
        raise StudyError(
            f"the password of the MLflow store at {redacted_uri(uri)} is not kept with the study; "
            "set MLFLOW_TRACKING_URI to the URI with the password in it"
        )
    return current


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; ``None`` for every other, also for one in memory."""
    with suppress(ArgumentError):
        url = make_url(uri)
        path = url.database or ":memory:"
        if url.get_backend_name() == "sqlite" and not path.startswith((":memory:", "file:")):
            return Path(path)
    return None


def _current() -> str:
    """``MLFLOW_TRACKING_URI``, else MLflow's own default."""
    import mlflow  # takes a second, and only some stores need it

    return mlflow.get_tracking_uri()


def _is_end_of(given: str, kept: str) -> bool:
    """Whether the relative path of a SQLite file is the end of the path of another."""
    file, there = sqlite_file(given), sqlite_file(kept)
    return bool(file and there and not file.is_absolute() and there.match(str(file)))
