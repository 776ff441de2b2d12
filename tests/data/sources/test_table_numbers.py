"""Tables with columns of numbers, beside images or without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DataError
from kdsearch.models import Input, of_images
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection

SPLITS = ["train"] * 12 + ["val"] * 4 + ["test"] * 4


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    for number in range(20):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    return pd.DataFrame(
        {
            "image": [f"{number}.png" for number in range(20)],
            "label": [("wren", "owl")[number % 2] for number in range(20)],
            "wing": [str(number / 4) for number in range(20)],
            "mass": [f"{1.5e3 - number:g}" for number in range(20)],
            "split": SPLITS,
        },
        dtype=object,
    )


def load(folder: Path, rows: pd.DataFrame, suffix: str = "csv", **rest: Any) -> Dataset:
    file = folder / f"table.{suffix}"
    if suffix == "parquet":
        numbers = {name: rows[name].astype(float) for name in ("wing", "mass")}
        rows.assign(**numbers).to_parquet(file, index=False)
    elif suffix == "jsonl":
        rows.to_json(file, orient="records", lines=True)
    else:
        rows.to_csv(file, index=False, sep="\t" if suffix == "tsv" else ",")
    given = {name: rest.pop(name) for name in ("image_size", "background") if name in rest}
    table = TableSection(file=file, **rest)
    return load_dataset(DataSection(source="table", table=table, **given))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("images", [True, False])
def test_columns_of_numbers_are_one_input(
    tmp_path: Path, rows: pd.DataFrame, suffix: str, images: bool
) -> None:
    image = {} if images else {"image": None}
    data = load(tmp_path, rows, suffix, numbers=["mass", "wing"], **image)
    pictures = of_images((3, 8, 8)) if images else {}
    assert data.inputs == {**pictures, "numbers": Input("numbers", (2,))}
    places = 0
    for split in (data.train, data.validation, data.test):
        at = np.arange(places, places + len(split))
        expected = np.stack([1500 - at, at / 4], axis=1)
        assert torch.equal(split.inputs["numbers"], torch.tensor(expected))
        assert [data.classes[label] for label in split.labels] == [
            ("wren", "owl")[place % 2] for place in at
        ]
        if images:
            assert split.images[:, 0, 0, 0].tolist() == at.tolist()
        places += len(split)
    train = np.stack([1500 - np.arange(12), np.arange(12) / 4], axis=1)
    np.testing.assert_allclose(data.scales["numbers"].mean, train.mean(axis=0))
    np.testing.assert_allclose(data.scales["numbers"].std, train.std(axis=0))


def test_without_images_no_file_need_be_there(tmp_path: Path, rows: pd.DataFrame) -> None:
    (tmp_path / "elsewhere").mkdir()
    data = load(tmp_path / "elsewhere", rows.drop(columns="image"), image=None, numbers="wing")
    assert data.inputs == {"numbers": Input("numbers", (1,))}


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("", r"table.csv, line 4: 'wing' is empty \(1 more row likewise\); fill the cell, and say"),
        (
            "long",
            r"table.csv, line 4: 'long' in 'wing' is no finite number \(1 more row likewise\)",
        ),
        (
            "1e39",
            r"'1e39' in 'wing' is no finite number .*; write a category as columns of 0 and 1",
        ),
        ("nan", "'nan' in 'wing' is no finite number"),
        ("1_000", "'1_000' in 'wing' is no finite number"),
    ],
)
def test_a_cell_that_is_no_number_is_told_with_its_line(
    tmp_path: Path, rows: pd.DataFrame, cell: str, told: str
) -> None:
    rows.loc[[2, 5], "wing"] = cell
    with pytest.raises(DataError, match=told):
        load(tmp_path, rows, numbers=["wing", "mass"])


def test_columns_that_are_not_there(tmp_path: Path, rows: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"no column 'wings'; set data\.table\.numbers to one"):
        load(tmp_path, rows, numbers=["wings"])
    told = r"no column 'image'; set data\.table\.image to one .*, or to null if it has no images"
    with pytest.raises(DataError, match=told):
        load(tmp_path, rows.drop(columns="image"), numbers=["wing"])


def test_some_column_is_an_input(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no column is an input; name image, numbers or both"):
        TableSection(file=tmp_path / "table.csv", image=None)


@pytest.mark.parametrize("target", ["label", "mass"])
def test_what_is_to_be_told_is_no_input(tmp_path: Path, rows: pd.DataFrame, target: str) -> None:
    told = rf"'{target}' is data\.table\.target and stands in data\.table\.numbers too"
    with pytest.raises(DataError, match=told):
        load(tmp_path, rows, target=target, numbers=["wing", target])
    with pytest.raises(DataError, match=r"'wing' is data\.table\.weight and stands in"):
        load(tmp_path, rows, weight="wing", numbers=["wing"])


@pytest.mark.parametrize("setting", [{"image_size": 16}, {"background": "black"}])
def test_settings_of_images_without_any(
    tmp_path: Path, rows: pd.DataFrame, setting: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="has no effect without images; remove it"):
        load(tmp_path, rows, image=None, numbers="wing", **setting)
