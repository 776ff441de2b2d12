"""Tables of images: the same data from every kind of file, splits, classes, weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from kdsearch.data import Dataset, Split, load_dataset
from kdsearch.data.images import read_splits
from kdsearch.data.sources.raw import RawData, training_data
from kdsearch.data.sources.table.targets import class_names
from kdsearch.errors import DataError
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection

SPLITS = ["Train"] * 12 + ["valid"] * 6 + ["TEST"] * 6
LABELS = ["NA", "007", "7"] * 8


def frame(**columns: Sequence[Any]) -> pd.DataFrame:
    files = [f"images/{number:02}.png" for number in range(24)]
    return pd.DataFrame({"image": files, "label": LABELS} | columns, dtype=object)


def load(file: Path, root: Path | None = None, **settings: Any) -> Dataset:
    names = {"image", "target", "split", "weight"} & settings.keys()
    table = TableSection(file=file, **{name: settings.pop(name) for name in names})
    return load_dataset(DataSection(source="table", table=table, root=root, **settings))


def write(rows: pd.DataFrame, file: Path) -> Path:
    """The table as the kind of file that its name says."""
    if file.suffix == ".parquet":
        rows.to_parquet(file, index=False)
    elif file.suffix == ".jsonl":
        lines = [json.dumps(row) for row in rows.to_dict(orient="records")]
        file.write_text("\n".join(lines))
    else:
        rows.to_csv(file, index=False, sep="\t" if file.suffix == ".tsv" else ",")
    return file


def numbers(split: Split) -> list[int]:
    """Which images a split has; all pixels of one are its number."""
    return split.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_holds_the_same_data(images: Path, suffix: str) -> None:
    file = write(frame(split=SPLITS, weight=list(range(24))), images / f"table.{suffix}")
    data = load(file, weight="weight")
    assert data.classes == ("007", "7", "NA")
    assert numbers(data.train) == list(range(12))
    assert numbers(data.validation) == list(range(12, 18))
    assert numbers(data.test) == list(range(18, 24))
    for split in (data.train, data.validation, data.test):
        found = [data.classes[label] for label in split.labels]
        assert found == [LABELS[number] for number in numbers(split)]
    assert data.train.weights is not None
    assert data.train.weights.tolist() == list(range(12))
    assert (data.validation.weights, data.test.weights) == (None, None)
    assert data.inventory is not None
    assert data.inventory.folders == ("train", "validation", "test")
    assert [each.used for each in data.inventory.classes] == [
        {"train": 4, "validation": 2, "test": 2}
    ] * 3
    assert data.inventory.splits["test"] == "the rows of test in 'split'"


@pytest.mark.parametrize("name", ["NA", "null", "NaN", "None", "nan", "true", "1e3", "-", "N/A"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_class_may_have_any_name(images: Path, suffix: str, name: str) -> None:
    rows = frame(label=[name, "other"] * 12)
    data = load(write(rows, images / f"t.{suffix}"))
    assert set(data.classes) == {name, "other"}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"10", "9", "2"}, ["2", "9", "10"]),
        ({"1", "-1", "0"}, ["-1", "0", "1"]),
        ({"10", "9", "02"}, ["02", "10", "9"]),
        ({"10", "9", "b"}, ["10", "9", "b"]),
        ({"é", "z", "a"}, ["a", "z", "é"]),
    ],
)
def test_classes_are_in_order_of_value_or_of_name(labels: set[str], expected: list[str]) -> None:
    assert class_names(labels) == expected


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_whole_numbers_are_labels(images: Path, suffix: str) -> None:
    labels = [number % 6 + 8 for number in range(24)]
    data = load(write(frame(label=labels), images / f"t.{suffix}"))
    assert data.classes == ("8", "9", "10", "11", "12", "13")


def test_whole_numbers_that_pandas_holds_as_floats_are_labels(images: Path) -> None:
    rows = frame().assign(label=pd.Series([0.0, 1.0] * 12))
    assert load(write(rows, images / "t.parquet")).classes == ("0", "1")


def test_a_categorical_column_of_parquet_is_text(images: Path) -> None:
    rows = frame().astype({"label": "category"})
    assert load(write(rows, images / "t.parquet")).classes == ("007", "7", "NA")


def test_a_folder_named_as_hive_partitions_is_no_column(images: Path) -> None:
    folder = images / "split=test"
    folder.mkdir()
    file = write(frame(), folder / "t.parquet")
    data = load(file, root=images)
    assert data.inventory is not None
    assert data.inventory.folders == ("",)


def test_splits_are_drawn_where_no_column_says_them(images: Path) -> None:
    file = write(frame(weight=list(range(24))), images / "t.csv")
    data = load(file, weight="weight", test=0.25, validation=0.25)
    drawn = [numbers(split) for split in (data.train, data.validation, data.test)]
    assert sorted(number for each in drawn for number in each) == list(range(24))
    assert len(data.test) == 6
    assert data.train.weights is not None
    assert data.train.weights.tolist() == drawn[0]
    assert data.validation.weights is data.test.weights is None


def test_other_names_of_columns_and_another_root(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    rows = frame(part=SPLITS, split=["no split"] * 24)
    rows["image"] = [name.removeprefix("images/") for name in rows["image"]]
    file = write(rows.rename(columns={"image": "file", "label": "class"}), folder / "t.csv")
    data = load(file, root=images / "images", image="file", target="class", split="part")
    assert numbers(data.test) == list(range(18, 24))


def test_paths_may_be_absolute_and_of_windows(images: Path) -> None:
    rows = frame(split=SPLITS)
    plain = load(write(rows, images / "t.csv"))
    rows["image"] = [
        str(images / name) if place % 2 else name.replace("/", "\\")
        for place, name in enumerate(rows["image"])
    ]
    elsewhere = load(write(rows, images / "u.csv"), root=images)
    assert elsewhere.fingerprint == plain.fingerprint


def test_a_table_of_excel_is_the_plain_one(images: Path) -> None:
    rows = frame(split=SPLITS)
    plain = load(write(rows, images / "t.csv"))
    text = '"image" , "label",note,split\r\n'.replace('" ,', '",').replace(', "', ',"')
    for name, label, split in rows.itertuples(index=False):
        text += f'{name},"{label}","one, ""two""\r\nthree",  {split} \r\n\r\n'
    (images / "u.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(images / "u.csv").fingerprint == plain.fingerprint


def test_images_beyond_the_memory_are_mapped(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = frame(split=SPLITS, weight=list(range(24)))
    folder = tmp_path / "tables"
    folder.mkdir()
    rows["image"] = [str(images / name) for name in rows["image"]]  # none below the table's folder
    file = write(rows, folder / "t.csv")
    whole = load(file, weight="weight")
    monkeypatch.setattr(read_splits, "fits_memory", lambda *_: False)
    mapped = load(file, weight="weight")
    assert mapped.train.mapped
    assert len(list((folder / ".kdsearch").glob("*.npy"))) == 1
    assert mapped.fingerprint == whole.fingerprint


def test_the_fingerprint_counts_weights_where_there_are_any(images: Path) -> None:
    def fingerprint(**columns: Sequence[Any]) -> str:
        file = write(frame(split=SPLITS, **columns), images / "t.csv")
        return load(file, weight="w" if columns else None).fingerprint

    weights = [1.0] * 24
    found = [fingerprint(), fingerprint(w=weights), fingerprint(w=[2.0, *weights[1:]])]
    assert len(set(found)) == 3
    # of the test rows no weight is read
    assert fingerprint(w=[*weights[:-1], "none"]) == found[1]


def test_a_source_of_ones_own_gives_weights_too() -> None:
    images, labels = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    raw = RawData(images, labels, train_weights=[0, 1, 2.5, 3])
    train, _ = training_data(raw, "mine", Problem())
    assert train.weights is not None
    assert (train.weights.dtype, train.weights.tolist()) == (torch.float32, [0, 1, 2.5, 3])
    for weights, told in (
        ([1, 2, 3], r"weights must be numbers \[4\], one for each sample"),
        (["a"] * 4, r"weights must be numbers \[4\]"),
        ([1, 2, 3, -1], "finite numbers of at least 0"),
        ([1, 2, 3, float("nan")], "finite numbers of at least 0"),
        ([1, 2, 3, 1e300], "finite numbers of at least 0"),
    ):
        with pytest.raises(DataError, match=told):
            training_data(RawData(images, labels, train_weights=weights), "mine", Problem())
