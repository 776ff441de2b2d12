"""The MLflow store of a study: found early, or refused early."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from kdsearch.environment import environment
from kdsearch.errors import MissingExtraError, StoreError, one_line
from kdsearch.proxies import reach_this_machine_directly
from kdsearch.redaction import redacted_uri
from kdsearch.spec.sections import TrackingSection
from kdsearch.tracking.uri import sqlite_file, tracking_uri

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's UI open on the runs, not on its pages for language models."""


_SHORT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "8"}
"""MLflow's patience while it is found out whether a server answers."""


@dataclass(frozen=True)
class Store:
    """A reachable MLflow store.

    Attributes:
        uri: Tracking URI.
        client: A client of it.
        experiment_id: The experiment that holds the study.
    """

    uri: str
    client: MlflowClient
    experiment_id: str


def open_store(tracking: TrackingSection) -> Store:
    """Reach the store and find, or make, the experiment.

    A server that does not answer is given up after about 20 s.

    Raises:
        StoreError: The store cannot be reached, or refuses the experiment.
        MissingExtraError: The driver of its database is not installed.
    """
    uri = tracking_uri(tracking)
    _check_kind(uri)
    reach_this_machine_directly()
    try:
        # those that the user has set stay as they are
        with environment({name: _SHORT[name] for name in _SHORT.keys() - os.environ.keys()}):
            _check_database(uri)
            with _alone(uri):
                store = _find_experiment(uri, tracking.experiment)
    except ImportError as error:
        raise MissingExtraError(
            f"the MLflow store at {redacted_uri(uri)} needs a package that is not installed "
            f"({one_line(error, uri)}); pip install {error.name}"
        ) from error
    except (MlflowException, SQLAlchemyError, OSError, ValueError) as error:
        if "out-of-date database schema" in str(error):
            raise _of_another_mlflow(uri) from error
        raise StoreError(
            f"the MLflow store at {redacted_uri(uri)} cannot be reached "
            f"({_reason(error, uri)}); start its server, or set tracking.uri or "
            "MLFLOW_TRACKING_URI to another"
        ) from error
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    return store


def _find_experiment(uri: str, name: str) -> Store:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return Store(uri, client, _make_experiment(client, uri, name))
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the MLflow experiment '{name}' at {redacted_uri(uri)} is deleted; restore it, or set "
            "tracking.experiment to another name"
        )
    return Store(uri, client, experiment.experiment_id)


def _make_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """The id of a new experiment, or of the one that another study has just made."""
    try:
        return client.create_experiment(name, _beside_database(uri), EXPERIMENT_TAGS)
    except MlflowException:
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return made.experiment_id


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of a SQLite file: MLflow does so without a lock."""
    file = sqlite_file(uri)
    if file is None:
        yield
        return
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=120):
        yield


def _of_another_mlflow(uri: str) -> StoreError:
    command = f"mlflow db upgrade {shlex.quote(redacted_uri(uri))}"
    return StoreError(
        f"the MLflow store at {redacted_uri(uri)} was made by another version of MLflow than "
        f"{mlflow.__version__}, which is installed; copy it, then bring it to this one by "
        f"{command}, or set tracking.uri or MLFLOW_TRACKING_URI to another"
    )


def _check_kind(uri: str) -> None:
    """Refuse a folder of files: MLflow has stopped writing to those."""
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks")):
        raise StoreError(
            f"the MLflow store {redacted_uri(uri)} is a folder of files, which MLflow no longer "
            "writes to; set tracking.uri or MLFLOW_TRACKING_URI to a database such as "
            "sqlite:///mlflow.db, or to a server"
        )


def _check_database(uri: str) -> None:
    """Find out at once what MLflow would try again for minutes, or make folders for."""
    if urlsplit(uri).scheme.partition("+")[0] not in DATABASE_ENGINES:
        return
    url = make_url(uri)
    file = Path(url.database or ":memory:")
    if url.get_backend_name() != "sqlite" or file.is_file():
        _connect(url)
        return
    if str(file) == ":memory:":
        fault = "keeps nothing; name a file, as in sqlite:///mlflow.db"
    elif file.is_dir():
        fault = f"is a folder; name a file in it, as in {uri.rstrip('/')}/mlflow.db"
    elif not file.absolute().parent.is_dir():
        fault = f"lies in {file.parent}, which is no folder; make it first, or set another"
    else:
        return
    raise StoreError(f"the MLflow store {redacted_uri(uri)} {fault}")


def _connect(url: URL) -> None:
    """Connect to a database, and read the names in it: SQLite opens any file unseen."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            inspect(connection).get_table_names()
    finally:
        engine.dispose()


def _reason(error: BaseException, uri: str) -> str:
    """The reason at the root of a failure in one line, such as ``Connection refused``."""
    root: BaseException = error
    deeper: BaseException | None = error
    while deeper is not None:
        if isinstance(deeper, OSError):
            root = deeper
        deeper = deeper.__cause__ or deeper.__context__
    return one_line(root, uri)


def _beside_database(uri: str) -> str | None:
    """Where the artifacts of a SQLite store go: into a folder ``mlruns`` beside the database.

    MLflow itself would put them into the current directory, which a cluster's job loses.
    """
    parts = urlsplit(uri)
    database = parts.path[1:]
    if not parts.scheme.startswith("sqlite") or not database:
        return None
    return (Path(database).resolve().parent / "mlruns").as_uri()
