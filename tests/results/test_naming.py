"""A student in few words, with the size of its images where it has one of its own."""

from __future__ import annotations

import math

import pytest

from kdsearch.results.naming import student_told
from kdsearch.results.tables import trials_table
from tests.records import trial


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "convnet-3 ×0.669"),
        ({"depth": None}, "convnet ×0.669"),
        ({"side": 32}, "convnet-3 ×0.669 @32"),
        ({"side": 32.0, "inputs": "scan"}, "convnet-3 ×0.669 @32 of scan"),
        ({"side": math.nan}, "convnet-3 ×0.669"),
    ],
)
def test_a_student_is_told_with_what_it_has(more: dict[str, object], told: str) -> None:
    assert student_told({"family": "convnet", "width": 0.66912, "depth": 3, **more}) == told


def test_the_size_is_a_column_where_some_student_has_one() -> None:
    records = [trial(1, 0.5, 10), trial(2, 0.6, 12)]
    assert "side" not in trials_table(records, records)
    task = records[1].task
    sized = task.model_copy(update={"model": task.model.model_copy(update={"image_size": 32})})
    records[1] = records[1].model_copy(update={"task": sized})
    table = trials_table(records, records)
    assert math.isnan(table["side"][0])
    assert table["side"][1] == 32
    assert [student_told(row).endswith("@32") for _, row in table.iterrows()] == [False, True]
