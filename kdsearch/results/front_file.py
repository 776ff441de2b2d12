"""``front.json``: the front for programs, and for commands that need no PyTorch.

What is imported at the top is light, so that the file can be read in an instant.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    import pandas as pd

    from kdsearch.results.study import Study

_OF_METRICS = ("better", "unit", "title", "head", "about", "loss_title", "lowest", "highest")


def front_content(study: Study) -> dict[str, Any]:
    """What ``front.json`` says: the finalists, and what a reader needs to know of their columns.

    ``sizes`` are those that the search weighs, the first one that of tables and figures;
    ``size_names`` all that rows may have; ``teacher`` is the one with whom students are compared,
    or ``None``; each row of ``front`` is one of :func:`kdsearch.results.tables.front_table`.
    """
    from kdsearch.problems import find_metric
    from kdsearch.spec.searching import SizeName

    metrics = {name: find_metric(name) for name in study.metrics}
    told = (*_OF_METRICS, "shown", "share", "gain_unit")
    return {
        "study": study.spec.study.name,
        "objective": study.objectives.score,
        "sizes": list(study.objectives.sizes),
        "size_names": list(get_args(SizeName)),
        "metrics": {
            name: {each: getattr(metric, each) for each in told} for name, metric in metrics.items()
        },
        "teacher": None if study.teacher is None else asdict(study.teacher),
        "front": rows(study.front),
    }


def read_front(folder: Path) -> dict[str, Any]:
    """The front of a study: ``front.json`` of one that has ended, else as its journals are now.

    Raises:
        StudyError: There is no study.
    """
    try:
        state = json.loads((folder / "study.json").read_text())
        ended = state["state"] == "finished"
        content: dict[str, Any] = json.loads((folder / "front.json").read_text()) if ended else {}
    except (OSError, ValueError, KeyError):
        content = {}
    if "metrics" in content:  # one of an earlier version has the rows alone
        return content
    from kdsearch.results.study import Study

    return front_content(Study.open(folder))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values that JSON can hold; what is not a number becomes null."""
    return [
        {str(key): plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not a finite number becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
