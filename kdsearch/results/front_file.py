"""``front.json`` and ``ranking.json``: for programs, and for commands that need no PyTorch.

What is imported at the top is light, so that the files can be read in an instant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from kdsearch.results.summary import written_summary

if TYPE_CHECKING:
    import pandas as pd

    from kdsearch.results.study import Study

_OF_METRICS = (
    *("better", "unit", "title", "head", "about", "loss_title", "lowest", "highest"),
    *("shown", "share", "gain_unit"),
)


def front_content(study: Study, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """What ``front.json`` says: the finalists, and what a reader needs to know of their columns.

    ``sizes`` are those that the search weighs, the first one that of tables and figures;
    ``size_names`` all that rows may have; ``teacher`` is the one with whom students are compared,
    or ``None``; each row of ``front`` is one of :func:`kdsearch.results.tables.front_table`.

    Args:
        study: The study.
        table: Its front, where it is known.
    """
    from kdsearch.spec.searching import SizeName

    return {
        "study": study.spec.study.name,
        "objective": study.objectives.score,
        "sizes": list(study.objectives.sizes),
        "size_names": list(get_args(SizeName)),
        "metrics": {name: metric_facts(name) for name in study.metrics},
        "teacher": None if study.teacher is None else asdict(study.teacher),
        "front": rows(study.front if table is None else table),
    }


def ranking_content(study: Study, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """What ``ranking.json`` says: the methods, and what a reader needs to know of their columns.

    ``least_trials`` is how many complete trials a method needs; each row of ``ranking`` is one of
    :func:`kdsearch.results.ranking.method_ranking`.

    Args:
        study: The study.
        table: Its ranking, where it is known.
    """
    from kdsearch.results.ranking import MIN_TRIALS

    score = study.objectives.score
    return {
        "study": study.spec.study.name,
        "objective": score,
        "least_trials": MIN_TRIALS,
        "metrics": {score: metric_facts(score)},
        "ranking": rows(study.ranking if table is None else table),
    }


def metric_facts(name: str) -> dict[str, Any]:
    """What tables tell of a metric."""
    from kdsearch.problems import find_metric

    metric = find_metric(name)
    return {each: getattr(metric, each) for each in _OF_METRICS}


def read_front(folder: Path) -> Mapping[str, Any]:
    """The front of a study: ``front.json`` where it is of all that is there, else computed anew.

    Raises:
        StudyError: There is no study, or it cannot be read.
    """
    if (found := written_summary(folder, "front")) is not None:
        return found
    from kdsearch.results.study import Study

    return front_content(Study.open(folder))


def read_ranking(folder: Path) -> Mapping[str, Any]:
    """The ranking of a study's methods, likewise.

    Raises:
        StudyError: There is no study, or it cannot be read.
    """
    if (found := written_summary(folder, "ranking")) is not None:
        return found
    from kdsearch.results.study import Study

    return ranking_content(Study.open(folder))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values that JSON can hold; what is not a number becomes null."""
    return [
        {str(key): plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not a finite number becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
