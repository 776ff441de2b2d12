"""``front.json`` and ``ranking.json``: for programs, and for commands that need no PyTorch.

What is imported at the top is light, so that the files can be read in an instant.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from kdsearch.errors import StudyError
from kdsearch.files import write_atomically
from kdsearch.results.domains import domains_of
from kdsearch.results.summary import made_from, written_summary

if TYPE_CHECKING:
    import pandas as pd

    from kdsearch.results.study import Study

Name = Literal["front", "ranking"]

_OF_METRICS = (
    *("better", "unit", "title", "head", "about", "loss_title", "lowest", "highest"),
    *("shown", "share", "gain_unit"),
)


def front_content(study: Study, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """What ``front.json`` says: the finalists, and what a reader needs to know of their columns.

    ``sizes`` are those that the search weighs, the first one that of tables and figures;
    ``size_names`` all that rows may have; ``teacher`` is the one with whom students are compared,
    or ``None``; ``baselines`` the methods that need no teacher, over the best of which are the
    gains; ``domains`` the sources of both domains, or ``None`` where there is one; each row of
    ``front`` is one of :func:`kdsearch.results.tables.front_table`.

    Args:
        study: The study.
        table: Its front, where it is known.
    """
    from kdsearch.results.sweep import baseline_methods
    from kdsearch.spec.searching import SizeName

    return {
        "study": study.spec.study.name,
        "domains": domains_of(study.spec),
        "objective": study.objectives.score,
        "sizes": list(study.objectives.sizes),
        "size_names": list(get_args(SizeName)),
        "metrics": {name: metric_facts(name) for name in study.metrics},
        "teacher": None if study.teacher is None else asdict(study.teacher),
        "baselines": list(baseline_methods(study.spec)),
        "front": rows(study.front if table is None else table),
    }


def ranking_content(study: Study, table: pd.DataFrame | None = None) -> dict[str, Any]:
    """What ``ranking.json`` says: the methods, and what a reader needs to know of their columns.

    ``least_trials`` is how many complete trials a method or way needs; each row of ``ranking`` is
    one of :func:`kdsearch.results.ranking.method_ranking`, each of ``ways`` one of
    :func:`kdsearch.results.way_ranking.way_ranking`. ``ways_of_few`` has the other ways, each with
    the number of its complete trials.

    Args:
        study: The study.
        table: Its ranking, where it is known.
    """
    from kdsearch.results.expected import MIN_TRIALS

    score = study.objectives.score
    return {
        "study": study.spec.study.name,
        "objective": score,
        "least_trials": MIN_TRIALS,
        "metrics": {score: metric_facts(score)},
        "ranking": rows(study.ranking if table is None else table),
        "ways": rows(study.way_ranking),
        "ways_of_few": study.ways_of_few,
    }


def metric_facts(name: str) -> dict[str, Any]:
    """What tables tell of a metric."""
    from kdsearch.problems import find_metric

    metric = find_metric(name)
    return {each: getattr(metric, each) for each in _OF_METRICS}


@dataclass(frozen=True)
class Summary:
    """A table, and what the file of its name holds of it for programs."""

    table: pd.DataFrame
    content: Mapping[str, Any]


def summaries(study: Study) -> dict[Name, Summary]:
    """Front and ranking of a study as they are now."""
    told = {"made_from": made_from(study.directory.path), "written": time.time()}
    # after the checksums, so that what comes on the way is not taken for in
    front, ranking = study.front, study.ranking
    return {
        "front": Summary(front, front_content(study, front) | told),
        "ranking": Summary(ranking, ranking_content(study, ranking) | told),
    }


def write_summaries(folder: Path, found: Mapping[Name, Summary]) -> None:
    """Write ``front.json`` and ``ranking.json`` into a study's folder."""
    for name, summary in found.items():
        write_atomically(folder / f"{name}.json", json.dumps(summary.content, indent=1).encode())


def read_summary(
    folder: Path, name: Name, told: Callable[[str], None] = lambda step: None
) -> Mapping[str, Any]:
    """The front of a study, or the ranking of its methods, as the study's folder holds it.

    Where that is not of all that is there (:func:`~kdsearch.results.summary.written_summary`), it
    is computed, which takes PyTorch, and written for the next reader.

    Args:
        folder: The study's folder.
        name: Which of them.
        told: Is told of a step that takes seconds, when it begins.

    Raises:
        StudyError: There is no study, or it cannot be read.
    """
    if (written := written_summary(folder, name)) is not None:
        return written
    told(f"reading the trials of {folder}")
    from kdsearch.results.study import Study

    study = Study.open(folder)
    found = summaries(study)
    with suppress(StudyError, OSError), study.directory.locked():
        write_summaries(folder, found)
    return found[name].content


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values that JSON can hold; what is not a number becomes null."""
    return [
        {str(key): plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not a finite number becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
