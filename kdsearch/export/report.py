"""The report's files: front and ranking as CSV and JSON, and the students as shipped."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from kdsearch.data import Dataset
from kdsearch.export.student import save_student
from kdsearch.files import write_atomically
from kdsearch.results.finalists import Finalist, weights_file
from kdsearch.results.front_file import summaries, write_summaries
from kdsearch.results.study import Study


def write_tables(study: Study) -> None:
    """Write front and ranking, each as CSV and JSON, and ``trials.csv`` into the study's folder."""
    folder = study.directory.path
    write_atomically(folder / "trials.csv", _csv(study.trials))
    found = summaries(study)
    for name, summary in found.items():
        write_atomically(folder / f"{name}.csv", _csv(summary.table))
    write_summaries(folder, found)


def write_students(
    study: Study, data: Dataset, finalists: Sequence[Finalist] | None = None
) -> None:
    """Write finalists, all if none are given, into ``students/trial-NNNN``.

    One without a complete training is left out.

    Raises:
        RunError: The weights of one are lost.
    """
    for finalist in study.finalists() if finalists is None else finalists:
        run = finalist.shipped
        if run is not None:
            folder = study.directory.student(finalist.trial.number)
            save_student(finalist, data, weights_file(study.directory.weights, run), folder)


def _csv(table: pd.DataFrame) -> bytes:
    flat = table.copy()
    for column in ("weights", "hyperparameters"):
        if column in flat:
            flat[column] = flat[column].map(json.dumps)
    return flat.to_csv(index=False).encode()
