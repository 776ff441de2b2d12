"""What a job may not rely on: its working directory vanishes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from kdsearch.spec.origin import KeyPath, dotted
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import teacher_path

SERVERS = ("http", "https", "databricks")
"""Schemes of tracking URIs whose artifacts are kept by a server."""


def check_lasting(spec: StudySpec) -> None:
    """Refuse folders and files that a job would look for, or leave, in its working directory.

    Raises:
        SpecError: A path is relative.
    """
    if not _absolute(spec.study.directory):
        raise spec.refuse(
            ("study", "directory"),
            f"study.directory is relative ({spec.study.directory}) and would vanish with the job; "
            "give an absolute path on storage that all nodes share, such as "
            "--set study.directory=/shared/studies",
        )
    for place, path in _read(spec):
        if path is not None and not _absolute(path):
            raise spec.refuse(
                place,
                f"{dotted(place)} is relative ({path}) and is not sent with the job; give its "
                "absolute path on the cluster",
            )


def _read(spec: StudySpec) -> Iterator[tuple[KeyPath, Path | None]]:
    """Every path of a spec that a job reads from, or leaves something in."""
    sections = {"data": spec.data, **({"target": spec.target} if spec.target else {})}
    for name, section in sections.items():
        yield (name, "root"), section.root
        if section.table is not None:
            yield (name, "table", "file"), section.table.file
    for name, teacher in spec.teachers_in_use.items():
        yield (*teacher_path(name), "checkpoint"), teacher.checkpoint
    for place, model in spec.with_weights.items():
        yield place, model.weights.file if model.weights else None
    yield ("cache", "folder"), spec.cache.folder
    for number, study in enumerate(spec.search.warm_start):
        yield ("search", "warm_start", number), study
    storage = spec.resources.storage
    yield ("resources", "storage"), None if storage is None or "://" in storage else Path(storage)


def check_store(spec: StudySpec, inherited: str | None) -> dict[str, str]:
    """Refuse an MLflow store that would vanish with the job.

    Args:
        spec: The study; its ``tracking.uri`` counts first.
        inherited: ``MLFLOW_TRACKING_URI`` of the submitter, if set.

    Returns:
        Environment variables that hand the inherited URI on to the job.

    Raises:
        SpecError: No URI is given, it is relative, or it is a database whose artifacts MLflow
            would keep in the working directory.
    """
    uri = spec.tracking.uri or inherited
    if not uri:
        raise spec.refuse(
            ("tracking", "uri"),
            "no MLflow store is named, and MLflow's default would vanish with the job; set "
            "tracking.uri or MLFLOW_TRACKING_URI, such as --set tracking.uri=http://mlflow:5000",
        )
    source = "tracking.uri" if spec.tracking.uri else "MLFLOW_TRACKING_URI"
    parts = urlsplit(uri)
    kind = parts.scheme.partition("+")[0] or uri
    if kind in SERVERS:
        return {} if spec.tracking.uri else {"MLFLOW_TRACKING_URI": uri}
    if kind != "sqlite":
        raise spec.refuse(
            ("tracking", "uri"),
            f"{source} ({parts.scheme or uri}) leaves its artifacts in the working directory, "
            "which vanishes with the job; give an MLflow server (http://HOST:PORT), or "
            "sqlite:////PATH on storage that all nodes share",
        )
    if not PurePosixPath(parts.path[1:]).is_absolute():
        raise spec.refuse(
            ("tracking", "uri"),
            f"{source} ({uri}) is a relative SQLite path and would vanish with the job; write it "
            "with four slashes, such as sqlite:////shared/mlflow.db",
        )
    return {} if spec.tracking.uri else {"MLFLOW_TRACKING_URI": uri}


def _absolute(path: Path) -> bool:
    return PurePosixPath(path.as_posix()).is_absolute()
