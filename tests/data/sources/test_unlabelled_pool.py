"""``data.unlabelled``: images and rows without targets beside those of a folder or a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from kdsearch.data import Dataset, RawData, load_dataset
from kdsearch.data.feeds.transport import pack, unpack
from kdsearch.data.images import read_splits
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import SHOWN, batch_of, cached, plan_of, same_bits

LABELLED, MORE = 30, 12


def paint(folder: Path, numbers: range, side: int = 8, suffix: str = "png") -> None:
    """Images of one grey, which is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.full((side, side), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.{suffix}")


def greys(images: Any) -> list[int]:
    return [int(value) for value in images[:][:, 0, 0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of fifteen images, and twelve without a class at several depths."""
    paint(tmp_path / "labelled/owl", range(15))
    paint(tmp_path / "labelled/wren", range(15, LABELLED))
    paint(tmp_path / "pool", range(100, 104))
    paint(tmp_path / "pool/2025", range(104, 108))
    paint(tmp_path / "pool/2026/may/rest", range(108, 112))
    (tmp_path / "pool/notes.txt").write_text("not an image")
    return tmp_path


def load(folder: Path, **settings: Any) -> Dataset:
    given = {"root": folder / "labelled", "unlabelled": {"root": folder / "pool"}} | settings
    return load_dataset(DataSection(source="image_folder", **given))


def without(data: Dataset) -> Any:
    return ~data.problem.known(data.train.targets)


def test_every_image_below_the_folder_joins_the_training_split_alone(folder: Path) -> None:
    data, alone = load(folder), load(folder, unlabelled=None)
    assert sorted(greys(data.train.images[:][without(data)])) == list(range(100, 112))
    assert bool((data.train.labels[without(data)] == -1).all())
    known = data.train.take((~without(data)).nonzero().flatten())
    assert torch.equal(known.images, alone.train.images)
    assert torch.equal(known.labels, alone.train.labels)
    for one, other in ((data.validation, alone.validation), (data.test, alone.test)):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert data.problem.class_heads[0].gaps
    assert data.inventory is not None
    assert data.inventory.splits["unlabelled"] == f"12 images in {folder / 'pool'}"
    assert data.inventory.skipped == 1


def test_normalisation_is_measured_on_all_training_images(folder: Path) -> None:
    data = load(folder)
    values = np.array(greys(data.train.images)) / 255
    scale = data.scales["image"]
    assert scale.mean == pytest.approx([values.mean()] * 3)
    assert scale.std == pytest.approx([values.std()] * 3)


def test_the_fingerprint_covers_the_pool(folder: Path) -> None:
    found = {load(folder, unlabelled=None).fingerprint, load(folder).fingerprint}
    paint(folder / "pool", range(99, 101))
    found.add(load(folder).fingerprint)
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(folder / "pool/2025/104.png")
    found.add(load(folder).fingerprint)
    assert len(found) == 4


def test_images_are_resized_as_the_others_are(folder: Path) -> None:
    paint(folder / "pool/large", range(120, 122), side=24)
    with pytest.raises(DataError, match=r"120\.png"):
        load(folder)
    data = load(folder, image_size=12)
    assert data.train.images.shape[1:] == (3, 12, 12)
    assert {120, 121} <= set(greys(data.train.images))


def test_a_limit_keeps_the_same_share_of_both(folder: Path) -> None:
    data = load(folder, test=0.2, validation=0.25, limit=18)
    assert int(without(data).sum()) == round(18 * MORE / (24 + MORE))
    assert len(data.train) + len(data.validation) == 18


def test_images_beyond_the_memory_are_mapped_with_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(folder)
    monkeypatch.setattr(read_splits, "fits_memory", lambda *_: False)
    mapped = load(folder)
    assert mapped.train.mapped
    assert mapped.fingerprint == whole.fingerprint
    again = unpack(pack(mapped))
    assert greys(again.train.images) == greys(whole.train.images)


def test_the_folder_may_lie_beside_those_of_the_splits(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("val", 20), ("test", 40)):
        paint(tmp_path / split / "owl", range(start, start + 10))
        paint(tmp_path / split / "wren", range(start + 10, start + 20))
    paint(tmp_path / "more", range(100, 105))
    section = DataSection(
        source="image_folder", root=tmp_path, unlabelled={"root": tmp_path / "more"}
    )
    data = load_dataset(section)
    assert sorted(greys(data.train.images)) == [*range(20), *range(100, 105)]
    assert len(data.validation) == len(data.test) == 20
    assert data.inventory is not None
    assert data.inventory.skipped == 0


@pytest.mark.parametrize("where", ["labelled/owl", "labelled"])
def test_an_image_in_both_is_refused(folder: Path, where: str) -> None:
    with pytest.raises(DataError, match="of its images are among the labelled ones too"):
        load(folder, unlabelled={"root": folder / where})


def test_what_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"data\.unlabelled\.root: there is no folder"):
        load(folder, unlabelled={"root": folder / "gone"})
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"data\.unlabelled\.root: .*empty holds no images"):
        load(folder, unlabelled={"root": folder / "empty"})
    with pytest.raises(ValueError, match="names no samples"):
        load(folder, unlabelled={})
    section = DataSection(source="digits", unlabelled={"root": folder / "pool"})
    with pytest.raises(DataError, match=r"data\.unlabelled has no effect on the source digits"):
        load_dataset(section)


@pytest.fixture
def table(folder: Path) -> Path:
    """The same images as rows, with a number and a weight."""
    rows = [(f"labelled/owl/{n}.png", "owl", n) for n in range(15)]
    rows += [(f"labelled/wren/{n}.png", "wren", n) for n in range(15, LABELLED)]
    frame = pd.DataFrame(rows, columns=["image", "label", "age"])
    frame["weight"] = 2.0
    frame.to_csv(folder / "t.csv", index=False)
    files = sorted((folder / "pool").rglob("*.png"))
    more = pd.DataFrame({"picture": files, "age": [int(file.stem) for file in files]})
    more.to_csv(folder / "more.csv", index=False)
    return folder


def of_table(folder: Path, unlabelled: dict[str, Any], **columns: Any) -> Dataset:
    given = {"file": folder / "t.csv"} | columns
    section = DataSection(source="table", table=given, unlabelled=unlabelled)
    return load_dataset(section)


def test_the_rows_of_a_table_join_with_their_numbers(table: Path) -> None:
    pool = {"table": {"file": table / "more.csv", "image": "picture"}}
    data = of_table(table, pool, numbers="age", weight="weight")
    ages = data.train.inputs["numbers"][:, 0]
    assert ages.tolist() == greys(data.train.inputs["image"])
    assert sorted(ages[without(data)].tolist()) == list(range(100, 112))
    weights = data.train.weights
    assert weights is not None
    assert set(weights[without(data)].tolist()) == {1.0}
    assert set(weights[~without(data)].tolist()) == {2.0}
    plain = of_table(table, pool, image=None, numbers="age")
    assert sorted(plain.train.inputs["numbers"][without(plain), 0].tolist()) == list(
        range(100, 112)
    )


def test_a_table_may_have_a_folder_as_its_pool_and_a_folder_a_table(table: Path) -> None:
    one = of_table(table, {"root": table / "pool"})
    assert sorted(greys(one.train.images[:][without(one)])) == list(range(100, 112))
    more = {"table": {"file": table / "more.csv", "image": "picture"}}
    two = load(table, unlabelled=more)
    assert sorted(greys(two.train.images[:][without(two)])) == list(range(100, 112))


def test_tables_that_do_not_fit_are_refused(table: Path) -> None:
    with pytest.raises(DataError, match=r"set data\.unlabelled\.table\.file to a table with them"):
        of_table(table, {"root": table / "pool"}, numbers="age")
    with pytest.raises(DataError, match=r"set data\.unlabelled\.table\.image to one that it has"):
        of_table(table, {"table": {"file": table / "more.csv"}})
    (table / "more.csv").write_text("image\ngone.png\n")
    with pytest.raises(DataError, match=r"set data\.unlabelled\.root to the folder"):
        of_table(table, {"table": {"file": table / "more.csv"}})
    frame = pd.read_csv(table / "t.csv")
    frame[["image"]].head(3).to_csv(table / "more.csv", index=False)
    with pytest.raises(DataError, match="3 of its images are among the labelled ones too"):
        of_table(table, {"table": {"file": table / "more.csv"}})


TASKS = (
    Head("kind", "class", named=True),
    Head("tags", "labels", named=True),
    Head("age", "value", named=True),
)


def own(side: int = 8, name: str = "") -> RawData:
    """A source of several tasks that returns a pool."""
    places = np.arange(40)
    images = np.tile(places.astype(np.uint8)[:, None, None], (1, 8, 8))
    more = np.tile(np.arange(100, 109, dtype=np.uint8)[:, None, None], (1, side, side))
    targets = {
        "kind": places % 2,
        "tags": np.stack([places % 2, places % 3 == 0], axis=1).astype(float),
        "age": places / 10,
    }
    return RawData(images, targets, unlabelled_images={name: more} if name else more)


def test_a_source_of_the_users_own_returns_its_pool() -> None:
    section = DataSection(source=f"{__name__}:own")
    data = load_dataset(section, Problem(heads=TASKS))
    gone = without(data)
    assert sorted(greys(data.train.images[gone])) == list(range(100, 109))
    assert all(head.gaps for head in data.problem.heads)
    assert bool(data.train.targets["tags"][gone].isnan().all())
    assert bool(data.train.targets["age"][gone].isnan().all())
    with pytest.raises(DataError, match="unlabelled images of"):
        load_dataset(DataSection(source=f"{__name__}:own", options={"side": 9}))
    with pytest.raises(DataError, match="training inputs image and the unlabelled inputs scan"):
        load_dataset(DataSection(source=f"{__name__}:own", options={"name": "scan"}))


def grey() -> RawData:
    """Fifty random scans of two classes and thirty of none."""
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    return RawData(images[:50], np.arange(50) % 10, unlabelled_images=images[50:])


def test_the_teacher_cache_holds_the_pool(
    make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    data = load_dataset(DataSection(source=f"{__name__}:grey"))
    teacher, pool = make_teacher(), without(data).nonzero().flatten()
    assert len(pool) == 30
    plan = plan_of(teacher, data, tmp_path, epochs=1)
    reader = cached(plan, teacher, data)
    batch = batch_of(plan, data, pool, 0)
    live = teacher.observe(batch, set(SHOWN))
    assert same_bits(reader.observe(batch, set(SHOWN)), live)


def test_a_copy_of_a_labelled_image_is_refused_by_its_name(folder: Path) -> None:
    copy = folder / "pool/2026/holiday.png"
    copy.write_bytes((folder / "labelled/owl/7.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of its images are among the labelled .*holiday\.png"):
        load(folder)


@pytest.mark.parametrize("own_test", [True, False])
def test_rows_that_are_judged_by_are_refused_in_a_pool_of_numbers(
    tmp_path: Path, own_test: bool
) -> None:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(generator.normal(size=(60, 3)), columns=["a", "b", "c"])
    rows["label"] = [("owl", "wren")[n % 2] for n in range(60)]
    if own_test:
        rows["split"] = ["train"] * 40 + ["test"] * 20
    rows.to_csv(tmp_path / "all.csv", index=False)
    table = {"file": tmp_path / "all.csv", "image": None, "numbers": ["a", "b", "c"]}
    section: dict[str, Any] = {"source": "table", "table": table}
    plain = load_dataset(DataSection(**section))
    section["unlabelled"] = {"table": {"file": tmp_path / "all.csv"}}
    with pytest.raises(DataError, match="copies of validation or test samples") as refused:
        load_dataset(DataSection(**section))
    judged = len(plain.validation) + len(plain.test)
    assert str(refused.value).startswith(f"{judged} of 60 samples without a target")


def test_training_samples_may_be_there_twice(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": range(30), "label": ["owl", "wren"] * 15})
    rows["split"] = ["train"] * 20 + ["val"] * 5 + ["test"] * 5
    rows.to_csv(tmp_path / "all.csv", index=False)
    rows[:20].to_csv(tmp_path / "more.csv", index=False)
    table = {"file": tmp_path / "all.csv", "image": None, "numbers": "a"}
    pool = {"table": {"file": tmp_path / "more.csv"}}
    data = load_dataset(DataSection(source="table", table=table, unlabelled=pool))
    assert len(data.train) == 40
