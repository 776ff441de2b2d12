"""What is refused about a table: one sentence with the file, the row, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kdsearch.data import load_dataset
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection


def refusal(file: Path, root: Path | None = None, **columns: Any) -> str:
    table = TableSection(file=file, **columns)
    with pytest.raises(DataError) as caught:
        load_dataset(DataSection(source="table", table=table, root=root))
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message  # what is wrong; what to do
    return message.replace(str(file.parent), "HERE")


def row(number: int, *cells: str) -> str:
    return ",".join((f"images/{number:02}.png", *cells)) + "\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,label\n" + row(0, "") + row(1, "a") + row(2, " "), "line 2: 'label' is empty (1"),
        ('image,label\n"images/00.png\n",a\n,b\n', "line 4: 'image' is empty; fill the cell or"),
        ("image,label\n\n\n" + row(0, ""), "line 4: 'label' is empty"),
        ("image,label\r\n\r\n" + row(0, "").replace("\n", "\r\n"), "line 3: 'label' is empty"),
        ("image,label\nimages/00.png\n", "line 2: 'label' is empty"),
        (
            "image,label\n" + row(0, "a") + row(1, "b", "c"),
            "line 3: the row has 3 cells, and the first line names 2; put cells that hold a comma",
        ),
        ('image,label\nimages/00.png,"a\n', "line 2: the quotes of this row do not fit"),
        ('image,label\nimages/00.png,"a"b\n', "line 2: the quotes of this row do not fit"),
        (
            "image,label,split\n" + row(0, "a", "train") + row(1, "b", "tset") + row(2, "b", "x"),
            "line 3: 'tset' is no split (1 more row likewise); write train, validation or test",
        ),
        (
            "image,label,split\n" + row(0, "a", "train") + row(1, "b", ""),
            "line 3: 'split' is empty",
        ),
        (
            "image,label,split\n" + row(0, "a", "test") + row(1, "b", "dev"),
            "has no row of train in 'split'; add the training rows",
        ),
        (
            "image,label,split\n"
            + row(0, "a", "train")
            + row(1, "b", "train")
            + row(2, "c", "val"),
            "line 4: no training row has the class 'c' of this validation row; correct it, or add",
        ),
        (
            "image,label\n" + row(0, "a") + row(98, "b") + row(99, "b"),
            "line 3: there is no image HERE/images/98.png (1 more row likewise); correct the path, "
            "or set data.root",
        ),
        ("image,label\nimages,a\n", "line 2: there is no image HERE/images"),
        ("image,label\na\0b.png,a\n", r"line 2: there is no image"),
        (
            "image,label\n" + row(0, "a") + row(1, "b") + "images/../images/00.png,b\n",
            "line 4: the image images/../images/00.png is in line 2 too; keep one row",
        ),
        ("image,label\n" + row(0, "a") + row(1, "a"), "has the classes a; give at least two"),
        ("image,lable\n" + row(0, "a"), "no column 'label'; set data.table.target to one that it"),
        ("image,lable\n" + row(0, "a"), "did you mean 'lable'?"),
        ("image;label\n" + row(0, "a"), "no column 'image'; set data.table.image to one that"),
        ("image,label,label\n" + row(0, "a", "b"), "has several columns 'label'; rename all but"),
        ("image,label\n", "has no rows; write one for each image"),
        ("", "is empty; write a row for each image"),
        ("\n\n", "is empty; write a row for each image"),
    ],
)
def test_a_csv_file(images: Path, text: str, told: str) -> None:
    file = images / "t.csv"
    file.write_bytes(text.encode())
    assert told in refusal(file)
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert told in refusal(file)


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ("-1", "the weight '-1' is no finite number of at least 0; correct it"),
        ("nan", "the weight 'nan' is no finite number"),
        ("inf", "the weight 'inf' is no finite number"),
        ("1e39", "the weight '1e39' is no finite number"),
        ("heavy", "the weight 'heavy' is no finite number"),
        ("", "the weight is empty"),
    ],
)
def test_a_weight(images: Path, weight: str, told: str) -> None:
    file = images / "t.csv"
    file.write_text("image,label,w\n" + row(0, "a", "1") + row(1, "b", weight))
    assert f"t.csv, line 3: {told}" in refusal(file, weight="w")


def test_weights_that_are_all_zero(images: Path) -> None:
    file = images / "t.csv"
    rows = [row(number, "ab"[number % 2], "0") for number in range(24)]
    file.write_text("image,label,w\n" + "".join(rows))
    assert "all training samples have the weight 0; give some a weight" in refusal(file, weight="w")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"image": "images/00.png"}\n\n{"label": "b"}\n', "line 3: 'image' is empty"),
        ('{"image": "images/00.png", "label": null}\n', "line 1: 'label' is empty"),
        ('{"image": "images/00.png", "label": ["a", "b"]}\n', "line 1: 'label' is a list; write"),
        ('{"image": {"bytes": ""}, "label": 1}\n', "line 1: 'image' is an object; write"),
        ('{"image": "images/00.png", "label": 1\n[]\n', "line 1: this is no JSON object (1 more"),
        ('[{"image": "images/00.png"},\n', "line 1: this is no JSON object; write one on each"),
        ('{"image": "\\ud800.png", "label": 1}\n', "line 1: there is no image HERE/\\ud800.png"),
    ],
)
def test_a_jsonl_file(images: Path, text: str, told: str) -> None:
    file = images / "t.jsonl"
    file.write_text(text)
    assert told in refusal(file)


def test_a_parquet_file(images: Path) -> None:
    file = images / "t.parquet"
    rows = pd.DataFrame({"image": ["images/00.png", "images/01.png"], "label": ["a", None]})
    rows.to_parquet(file)
    assert "t.parquet, row 2: 'label' is empty" in refusal(file)
    rows.assign(label=[1.0, float("nan")]).to_parquet(file)
    assert "t.parquet, row 2: 'label' is empty" in refusal(file)
    rows.assign(image=[{"bytes": b"\xff"}] * 2).to_parquet(file)
    assert "the column 'image' holds struct<bytes: binary>; let it hold text" in refusal(file)
    rows.assign(image=[b"\xff"] * 2).to_parquet(file)
    assert "the column 'image' holds binary; let it hold text" in refusal(file)
    file.write_bytes(file.read_bytes()[:-20])
    assert "t.parquet is no Parquet file (" in refusal(file)


def test_files_that_are_no_tables(images: Path) -> None:
    assert "data.table.file: there is no file HERE/t.csv; fix" in refusal(images / "t.csv")
    (images / "t.xlsx").write_bytes(b"PK")
    assert "whose name ends in .csv, .tsv, .jsonl or .parquet" in refusal(images / "t.xlsx")
    (images / "t.csv").write_bytes("image,label\né,a".encode("latin-1"))
    assert "t.csv is not text in UTF-8; save it so" in refusal(images / "t.csv")
    (images / "t.csv").write_bytes("image,label\n".encode("utf-16"))
    assert "t.csv is not text in UTF-8; save it so" in refusal(images / "t.csv")
    assert "data.root: there is no folder /no/such" in refusal(images / "t.csv", Path("/no/such"))


def test_a_source_without_its_table_and_a_table_without_its_source(images: Path) -> None:
    with pytest.raises(DataError, match=r"reads a file; set data\.table\.file to it"):
        load_dataset(DataSection(source="table"))
    section = DataSection(source="digits", table=TableSection(file=images / "t.csv"))
    with pytest.raises(DataError, match=r"data\.table has no effect on the source digits"):
        load_dataset(section)
