"""The page on figures explains every column that a person or a program reads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kdsearch.problems import CLASSIFICATION
from kdsearch.render.front import front_view
from kdsearch.render.ranking import ranking_view
from kdsearch.results.finalists import Finalist
from kdsearch.results.front_file import metric_facts, rows
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import COLUMNS
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import front_table, trials_table
from kdsearch.training.measured import MEASURED
from tests.records import trial
from tests.render.test_front import SCORES, judged

PAGE = (Path(__file__).parents[1] / "docs" / "figures.md").read_text()
METRICS = "|".join(sorted(CLASSIFICATION.names, key=len, reverse=True))


def columns_of(section: str) -> set[str]:
    """The columns that the table of a section explains."""
    text = re.split(rf"^## {section}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(.+?)`", cell)}


def by_metric(column: str) -> str:
    """A column without the name of its metric."""
    return re.sub(rf"_({METRICS})(?=_ci$|$)", "_METRIC", column)


def of_a_ladder(record: TrialRecord) -> TrialRecord:
    return record.model_copy(update={"ladder": "heads"})


def finalists() -> list[Finalist]:
    one = judged(3, "kd", "teacher", SCORES)
    chained = replace(one, trial=of_a_ladder(one.trial), other=one.runs)
    return [judged(1, "kd", "teacher", SCORES), judged(2, "none", None, SCORES), chained]


def test_every_column_of_the_files_is_explained() -> None:
    told = columns_of("Columns of the files")
    records = [trial(1, 0.5, 10), of_a_ladder(trial(2, 0.5, 10))]
    found = {
        *front_table(finalists(), Objectives(), range(9)).columns,
        *trials_table(records, records).columns,
    }
    assert {by_metric(column) for column in found} - told == set()
    of_two_domains = {"test_source_METRIC", "baseline_source_METRIC", "_ci"}
    only_some_have = {"inputs", "side", "began_with", *of_two_domains, *MEASURED}
    assert told - {by_metric(column) for column in found} - {"task.NAME"} == only_some_have


@pytest.mark.parametrize("teacher", ["teacher", "wide"])
def test_every_column_of_the_printed_front_is_explained(teacher: str) -> None:
    told = {re.sub("METRIC", "accuracy", name) for name in columns_of("Columns of the front")}
    made = [judged(1, "kd", teacher, SCORES), judged(2, "none", None, SCORES)]
    table = front_table(made, Objectives(), [1])
    table["retained"], table["beaten_by"], table["temperature"] = 0.97, 1, 4.0
    content = {
        "study": "x",
        "objective": "accuracy",
        "sizes": ["parameters"],
        "metrics": {name: metric_facts(name) for name in CLASSIFICATION.names},
        "front": rows(table),
    }
    heads = {str(column.header) for part in front_view(content).tables for column in part.columns}
    assert heads <= told
    assert told - heads == ({"taught by"} if teacher == "teacher" else set())


def test_every_column_of_the_ranking_is_explained() -> None:
    told = columns_of("Columns of the ranking")
    row = dict.fromkeys(COLUMNS, 0.5) | {"method": "kd", "trials": 3, "clear": True}
    row["undistilled"] = False
    content = {
        "study": "x",
        "objective": "accuracy",
        "metrics": {"accuracy": metric_facts("accuracy")},
        "ranking": [row],
    }
    parts = ranking_view(content).tables
    heads = {str(column.header) for part in parts for column in part.columns}
    assert heads == {name.replace("METRIC", "accuracy") for name in told}
    files = {re.sub("_(low|high)$", "", name) for name in COLUMNS} - {"objective", "undistilled"}
    assert files - {"best_score", "budget"} <= told
    assert all(f"`{name}`" in PAGE for name in ("best_score", "budget", "objective"))
