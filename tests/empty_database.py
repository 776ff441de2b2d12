"""A store of MLflow in which nothing is yet."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="kdsearch-tests-", ignore_cleanup_errors=True)


@cache
def empty_database() -> Path:
    """A SQLite file with MLflow's tables, which take it seconds to make."""
    from mlflow import MlflowClient

    file = Path(_folder().name) / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


def put_database(folder: Path) -> None:
    """A copy in a folder where studies will be run, unless there is a store already."""
    if not (folder / "mlflow.db").exists():
        shutil.copy(empty_database(), folder / "mlflow.db")
