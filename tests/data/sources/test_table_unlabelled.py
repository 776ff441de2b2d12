"""Rows without any target in a table: an error, or unlabelled training samples where asked for."""

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

SPECIES, TAGS, AGE = (
    Head(name, kind, named=True)
    for name, kind in (("species", "class"), ("tags", "labels"), ("age", "value"))
)
GONE = [1, 4, 6, 9]
SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
REMEDY = (
    "fill the cell or remove the row, or set data.table.unlabelled to true to distil the sample "
    "without a target"
)


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    """Twenty images, of which four for training have no target; one has no species alone."""
    for number in range(20):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    found = pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(20)],
            "species": [("wren", "owl")[number // 2 % 2] for number in range(20)],
            "tags": [("red; large", ";", "small", "large")[number % 4] for number in range(20)],
            "age": [str(number / 2) for number in range(20)],
            "split": SPLITS,
        },
        dtype=object,
    )
    found.loc[GONE, ["species", "tags", "age"]] = ""
    return found


def load(folder: Path, rows: pd.DataFrame, *heads: Head, suffix: str = "csv", **rest: Any) -> Any:
    file = folder / f"table.{suffix}"
    if suffix == "parquet":
        rows.replace("", None).to_parquet(file, index=False)
    elif suffix == "jsonl":
        rows.replace("", None).to_json(file, orient="records", lines=True)
    else:
        rows.to_csv(file, index=False)
    section = DataSection(source="table", table=TableSection(file=file, **rest))
    return load_dataset(section, Problem(heads=heads or (Head(),)))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "heads",
    [(), (SPECIES,), (TAGS,), (AGE,), (SPECIES, AGE), (SPECIES, TAGS, AGE)],
    ids=lambda heads: "+".join(head.name for head in heads) or "unnamed",
)
def test_they_are_training_samples_where_asked_for(
    tmp_path: Path, rows: pd.DataFrame, heads: tuple[Head, ...], suffix: str
) -> None:
    target = {} if heads else {"target": "species"}
    data: Dataset = load(tmp_path, rows, *heads, suffix=suffix, unlabelled=True, **target)
    known = data.problem.known(data.train.targets)
    assert data.train.images[:, 0, 0, 0].tolist() == list(range(12))
    assert (~known).nonzero().flatten().tolist() == GONE
    assert len(data.validation) == len(data.test) == 4
    for head in data.problem.heads:
        assert head.gaps
        assert bool(head.known(data.train.targets[head.name])[known].all())
        if head.kind == "labels":
            assert head.names == ("large", "red", "small")
            nothing = data.train.targets["tags"][5]  # a cell with ; alone
            assert nothing.tolist() == [0, 0, 0]


def test_without_a_column_of_splits_they_stay_in_training(
    tmp_path: Path, rows: pd.DataFrame
) -> None:
    data = load(tmp_path, rows.drop(columns="split"), target="species", unlabelled=True)
    assert set(GONE) <= set(data.train.images[:, 0, 0, 0].tolist())
    assert int((data.train.labels < 0).sum()) == len(GONE)
    assert data.inventory is not None
    used = {each.name: each.total for each in data.inventory.classes}
    assert used["(no class)"] == len(GONE)
    assert data.inventory.used == 20


@pytest.mark.parametrize("heads", [(), (SPECIES,), (AGE,), (SPECIES, AGE)], ids=len)
def test_else_they_are_refused_and_the_setting_is_offered(
    tmp_path: Path, rows: pd.DataFrame, heads: tuple[Head, ...]
) -> None:
    target = {} if heads else {"target": "species"}
    column = heads[0].name if heads else "species"
    with pytest.raises(DataError) as told:
        load(tmp_path, rows, *heads, **target)
    expected = f"line 3: '{column}' is empty (3 more rows likewise); {REMEDY}"
    assert str(told.value).endswith(expected)


def test_of_labels_an_empty_cell_says_none_unless_asked_for(
    tmp_path: Path, rows: pd.DataFrame
) -> None:
    data = load(tmp_path, rows, TAGS)
    assert data.train.targets["tags"][GONE].tolist() == [[0, 0, 0]] * 4
    assert not data.problem.heads[0].gaps


@pytest.mark.parametrize("unlabelled", [True, False])
@pytest.mark.parametrize(("place", "line"), [(13, 15), (17, 19)])
def test_in_validation_and_test_they_are_refused(
    tmp_path: Path, rows: pd.DataFrame, unlabelled: bool, place: int, line: int
) -> None:
    rows.loc[GONE, "species"] = "owl"
    rows.loc[place, "species"] = ""
    split = "validation" if place == 13 else "test"
    with pytest.raises(DataError) as told:
        load(tmp_path, rows, target="species", unlabelled=unlabelled)
    expected = f"line {line}: 'species' is empty in this {split} row; fill the cell or remove "
    assert str(told.value).endswith(f"{expected}the row")


def test_a_row_that_lacks_one_of_several_targets_is_not_among_them(
    tmp_path: Path, rows: pd.DataFrame
) -> None:
    rows.loc[[2, 13], "species"] = ""
    data = load(tmp_path, rows, SPECIES, AGE, unlabelled=True)
    assert data.train.targets["species"].tolist()[2] == -1
    assert int((~data.problem.known(data.train.targets)).sum()) == len(GONE)
    assert len(data.validation) == 4


def test_no_row_with_a_target_is_refused(tmp_path: Path, rows: pd.DataFrame) -> None:
    rows.loc[:, "species"] = ""
    with pytest.raises(DataError, match="has the classes of no sample"):
        load(tmp_path, rows.drop(columns="split"), target="species", unlabelled=True)
