"""Fronts of several studies side by side: of the same data, split, objective and size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import moocore
import numpy as np

from kdsearch.errors import StudyError
from kdsearch.problems import find_metric
from kdsearch.results.front import hypervolume
from kdsearch.results.front_file import metric_facts, rows
from kdsearch.results.objectives import Objectives
from kdsearch.results.study import Study

Row = Mapping[str, Any]
"""A finalist: a row of the front's table; what is not known is ``None``."""


def compare(studies: Mapping[str, Study]) -> dict[str, Any]:
    """What several studies reach, by one reference.

    Args:
        studies: Each by the name it is told by; two at least.

    Returns:
        ``objective``, ``size`` and ``metric`` of all; for each of ``studies`` its hypervolumes in
        [0, 1], of the validation front and of the finalists' means on the test; ``sizes``: for each
        size class the best finalist of each study, which study is better on the test, and whether
        that is ``clear``: the 95 % intervals do not overlap; ``beaten``: by study and other
        study, how many finalists of the other one has a finalist that is no larger and better on
        the test. The reference of all hypervolumes is the largest teacher and the worst loss.

    Raises:
        StudyError: They differ in what must be the same, which the message names.
    """
    check_alike(studies)
    first = next(iter(studies.values())).objectives
    common = Objectives(
        first.score,
        (first.size,),
        worst=max(study.objectives.worst for study in studies.values()),
    )
    largest = max(study.largest[0] for study in studies.values())
    finalists = {name: _judged(study) for name, study in studies.items()}
    return {
        "objective": common.score,
        "metric": metric_facts(common.score),
        "size": common.size,
        "reference": {"size": largest, "loss": common.worst},
        "studies": [
            _told(name, study, finalists[name], common, largest) for name, study in studies.items()
        ],
        "sizes": _size_classes(finalists, common),
        "beaten": {
            name: {
                other: _beaten(finalists[name], finalists[other], common)
                for other in studies
                if other != name
            }
            for name in studies
        },
    }


def check_alike(studies: Mapping[str, Study]) -> None:
    """Refuse studies whose scores mean different things.

    Raises:
        StudyError: They differ in data, split, objective or size.
    """
    facts: dict[str, Callable[[Study], Any]] = {
        "data (fingerprint)": lambda study: study.directory.inputs().data.fingerprint[:12],
        "data.validation": lambda study: study.spec.data.validation,
        "data.test": lambda study: study.spec.data.test,
        "data.seed": lambda study: study.spec.data.seed,
        "objective": lambda study: study.objectives.score,
        "size": lambda study: study.size,
    }
    differing = []
    for fact, of in facts.items():
        values = {name: of(study) for name, study in studies.items()}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{name}: {value}" for name, value in values.items())
            differing.append(f"{fact} ({told})")
    if differing:
        raise StudyError(
            f"these studies cannot be compared, since they differ in {'; '.join(differing)}; "
            "compare studies of the same data, split, objective and size"
        )


def _judged(study: Study) -> list[Row]:
    """The finalists with test scores, small to large."""
    column = f"test_{study.objectives.score}"
    return [row for row in rows(study.front) if row[column] is not None]


def _told(
    name: str, study: Study, finalists: Sequence[Row], common: Objectives, largest: float
) -> dict[str, Any]:
    records = study.records()
    counted = study.objectives.counted(records)
    return {
        "study": name,
        "trials": sum(record.complete for record in records),
        "epochs": sum(len(record.epochs) for record in records),
        "finalists": len(finalists),
        "hypervolume": hypervolume(counted, common, (largest,)),
        "test_hypervolume": _test_hypervolume(finalists, common, largest),
    }


def _test_hypervolume(finalists: Sequence[Row], common: Objectives, largest: float) -> float | None:
    """As :func:`~kdsearch.results.front.hypervolume`, of the finalists' means on the test."""
    if not finalists or largest <= 1:
        return None
    points = np.array(
        [
            (_loss(row, common) / common.worst, math.log(row[common.size]) / math.log(largest))
            for row in finalists
        ]
    )
    return float(moocore.hypervolume(points, ref=[1.0, 1.0]))


def _size_classes(
    finalists: Mapping[str, Sequence[Row]], common: Objectives
) -> list[dict[str, Any]]:
    """The best student of each study among those up to 1, 3, 10, … thousand, and who is better.

    The best one is chosen by its mean validation score, so that the test tells nothing but how good
    it is. A class that has the same students as the one before is left out.
    """
    sizes = [row[common.size] for own in finalists.values() for row in own]
    if not sizes:
        return []
    found: list[dict[str, Any]] = []
    for most in _bounds(min(sizes), max(sizes)):
        best = {name: _best(own, most, common) for name, own in finalists.items()}
        trials = {name: row and row["trial"] for name, row in best.items()}
        if found and trials == found[-1]["trials"]:
            continue
        told = {name: row and _student(row, common) for name, row in best.items()}
        better, clear = _better(best, common)
        found.append(
            {"most": most, "trials": trials, "students": told, "better": better, "clear": clear}
        )
    return [{name: each[name] for name in each if name != "trials"} for each in found]


def _bounds(least: float, most: float) -> list[float]:
    """1 and 3 of every decade, from the first that holds a student to the first that holds all."""
    every = [
        step * 10.0**power
        for power in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        for step in (1, 3)
    ]
    enough = next(bound for bound in every if bound >= most)
    return [bound for bound in every if least <= bound <= enough]


def _best(finalists: Sequence[Row], most: float, common: Objectives) -> Row | None:
    small = [row for row in finalists if row[common.size] <= most]
    metric, column = find_metric(common.score), f"mean_validation_{common.score}"
    return min(small, key=lambda row: metric.loss(row[column]), default=None)


def _student(row: Row, common: Objectives) -> dict[str, Any]:
    column = f"test_{common.score}"
    return {
        "trial": row["trial"],
        "method": row["method"],
        "size": row[common.size],
        "test": row[column],
        "test_ci": row[f"{column}_ci"],
    }


def _better(best: Mapping[str, Row | None], common: Objectives) -> tuple[str | None, bool]:
    """The study whose student is the best on the test, and whether no interval overlaps its own.

    None where two are equally good.
    """
    known = {name: row for name, row in best.items() if row is not None}
    if len(known) < 2:
        return None, False
    first, *others = sorted(known, key=lambda name: _loss(known[name], common))
    if _loss(known[first], common) == _loss(known[others[0]], common):
        return None, False
    highest = _loss(known[first], common) + _half(known[first], common)
    lowest = min(_loss(known[name], common) - _half(known[name], common) for name in others)
    return first, highest < lowest


def _beaten(own: Sequence[Row], others: Sequence[Row], common: Objectives) -> int:
    """How many of the others have a rival that is no larger, and better on the test."""
    return sum(
        any(
            row[common.size] <= other[common.size] and _loss(row, common) < _loss(other, common)
            for row in own
        )
        for other in others
    )


def _loss(row: Row, common: Objectives) -> float:
    return common.metric.loss(row[f"test_{common.score}"])


def _half(row: Row, common: Objectives) -> float:
    """Half the interval; without one, nothing is clear."""
    half = row[f"test_{common.score}_ci"]
    return math.inf if half is None else float(half)
