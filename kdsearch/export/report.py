"""The report's files: the front as CSV and JSON, and the students as shipped."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from kdsearch.data import Dataset
from kdsearch.export.student import save_student
from kdsearch.files import write_atomically
from kdsearch.search.finalists import weights_file
from kdsearch.search.study import Study


def write_tables(study: Study) -> None:
    """Write ``front.csv``, ``front.json`` and ``trials.csv`` into the study's directory."""
    folder = study.directory.path
    front = study.front
    write_atomically(folder / "front.csv", _csv(front))
    write_atomically(folder / "trials.csv", _csv(study.trials))
    content = {"study": study.spec.study.name, "front": rows(front)}
    write_atomically(folder / "front.json", json.dumps(content, indent=1).encode())


def write_students(study: Study, data: Dataset) -> None:
    """Write each finalist that has a complete training into ``students/trial-NNNN``."""
    for finalist in study.finalists():
        run = finalist.shipped
        if run is not None:
            folder = study.directory.student(finalist.trial.number)
            save_student(finalist, data, weights_file(study.directory.weights, run), folder)


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values that JSON can hold; what is not a number becomes null."""
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _csv(table: pd.DataFrame) -> bytes:
    flat = table.copy()
    for column in ("weights", "hyperparameters"):
        if column in flat:
            flat[column] = flat[column].map(json.dumps)
    return flat.to_csv(index=False).encode()
