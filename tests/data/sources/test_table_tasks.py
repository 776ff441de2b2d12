"""Tables with targets of several kinds: as read by pandas, and each row that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection

TASKS = tuple(
    Head(name, kind, named=True)
    for name, kind in (("species", "class"), ("tags", "labels"), ("age", "value"))
)
SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    """Twenty images; the species of one and the ages of three are not known."""
    for number in range(20):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    found = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(20)],
            "species": [("wren", "owl")[number % 2] for number in range(20)],
            "tags": [("red; large", "", "small", "large")[number % 4] for number in range(20)],
            "age": [str(number / 2) for number in range(20)],
            "split": SPLITS,
        },
        dtype=object,
    )
    found.loc[3, "species"] = ""
    found.loc[[1, 13, 18], "age"] = ""
    return found


def load(
    folder: Path,
    rows: pd.DataFrame,
    heads: tuple[Head, ...] = TASKS,
    suffix: str = "csv",
    **rest: Any,
) -> Dataset:
    file = folder / f"table.{suffix}"
    if suffix == "parquet":
        rows.to_parquet(file, index=False)
    else:
        rows.to_csv(file, index=False)
    section = DataSection(source="table", table=TableSection(file=file, **rest))
    return load_dataset(section, Problem(heads=heads))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_each_column_becomes_the_target_of_its_task(
    tmp_path: Path, rows: pd.DataFrame, suffix: str
) -> None:
    data = load(tmp_path, rows, suffix=suffix)
    species, tags, age = data.problem.heads
    assert (species.names, tags.names) == (("owl", "wren"), ("large", "red", "small"))
    assert [head.start for head in data.problem.heads] == [0, 2, 5]
    assert [head.gaps for head in data.problem.heads] == [True, False, True]
    assert data.outputs == 6
    for split, name in ((data.train, "train"), (data.validation, "val"), (data.test, "test")):
        own = rows[rows["split"] == name]
        expected = [-1 if each == "" else species.names.index(each) for each in own["species"]]
        assert split.targets["species"].tolist() == expected
        for row, cell in zip(split.targets["tags"].tolist(), own["tags"], strict=True):
            has = {label for label, there in zip(tags.names, row, strict=True) if there}
            assert has == {each.strip() for each in cell.split(";") if each}
        values = pd.to_numeric(own["age"]).to_numpy(np.float32)
        np.testing.assert_array_equal(split.targets["age"].numpy(), values)
    known = pd.to_numeric(rows["age"][:12]).dropna()
    assert (age.mean, age.std) == pytest.approx((known.mean(), known.std(ddof=0)))


def test_one_task_may_have_a_column_of_another_name(tmp_path: Path, rows: pd.DataFrame) -> None:
    rows = rows.drop(index=[1, 13, 18])
    data = load(tmp_path, rows, (Head("years", "value"),), target="age")
    assert data.train.targets["years"].tolist()[:3] == [0.0, 1.0, 1.5]
    assert data.inventory is not None
    assert data.inventory.used == 17


@pytest.mark.parametrize(
    ("place", "cell", "message"),
    [
        ((2, "age"), "old", "line 4: 'old' in 'age' is no finite number; correct it"),
        ((2, "age"), "inf", "line 4: 'inf' in 'age' is no finite number"),
        ((17, "tags"), "blue", "line 19: no training row has the label 'blue' of this test row"),
        ((17, "species"), "crow", "line 19: no training row has the class 'crow'"),
    ],
)
def test_a_target_that_cannot_be_is_told_with_its_row(
    tmp_path: Path, rows: pd.DataFrame, place: tuple[int, str], cell: str, message: str
) -> None:
    rows.loc[place] = cell
    with pytest.raises(DataError, match=message):
        load(tmp_path, rows)


def test_a_row_without_any_target_is_refused(tmp_path: Path, rows: pd.DataFrame) -> None:
    heads = (TASKS[0], TASKS[2])
    rows.loc[1, "species"] = ""  # whose age is not known either
    with pytest.raises(DataError, match=r"line 3: 'species' is empty; fill the cell or remove"):
        load(tmp_path, rows, heads)
    with pytest.raises(DataError, match=r"line 3: 'age' is empty"):
        load(tmp_path, rows, heads[1:])


@pytest.mark.parametrize(
    ("heads", "columns", "message"),
    [
        ((Head(),), {"target": ["species", "age"]}, "say in problem.tasks what kind of target"),
        (TASKS, {"target": ["species", "age"]}, "names no column 'tags', which problem.tasks has"),
        ((*TASKS, Head("wing", "value")), {}, "has no column 'wing'; set data.table.target"),
    ],
)
def test_columns_that_are_not_there_are_told(
    tmp_path: Path,
    rows: pd.DataFrame,
    heads: tuple[Head, ...],
    columns: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, rows, heads, **columns)
