"""What two domains must not have in common, and what they may take of the memory together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, MappedImages, RawData
from kdsearch.data.domains import load_domains
from kdsearch.data.feeds import memory
from kdsearch.data.images import read_splits
from kdsearch.errors import DataError
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection, TargetSection
from tests.odd_folder import write

HERE = f"{__name__}:numbered"
COUNT, SIDE = 40, 6
TOGETHER = 2 * COUNT * 3 * SIDE * SIDE
ROOM = "target: the images of both domains must have room in half of the memory; "


def numbered(first: int, pool: list[int] | None = None, mapped: str = "") -> RawData:
    """Images that are their number all over, two classes in turn; the last 8 judge."""
    found = pixels(range(first, first + COUNT))
    labels = np.arange(COUNT) % 2
    train: Any = found[:24]
    if mapped:
        np.save(mapped, train)
        train = MappedImages.of_rows(Path(mapped), np.arange(24), torch.device("cpu"))
    extra = None if pool is None else pixels(pool)
    judged = {"validation": slice(24, 32), "test": slice(32, 40)}
    splits: dict[str, Any] = {}
    for name, part in judged.items():
        splits |= {f"{name}_images": found[part], f"{name}_labels": labels[part]}
    return RawData(train, labels[:24], classes=["a", "b"], unlabelled_images=extra, **splits)


def pixels(values: Any) -> np.ndarray:
    column = np.array(list(values), np.uint8)
    return np.tile(column[:, None, None, None], (1, 3, SIDE, SIDE))


def load(source: Any = (), target: Any = (), **settings: Any) -> Dataset:
    return load_domains(
        DataSection(source=HERE, options={"first": 0, **dict(source)}),
        TargetSection(source=HERE, options={"first": 100, **dict(target)}, **settings),
        Problem(),
    )


@pytest.mark.parametrize(("pool", "places"), [([200, 125], "1"), ([133, 201, 124], "0, 2")])
def test_a_pool_of_the_source_has_nothing_that_judges_in_the_target(
    pool: list[int], places: str
) -> None:
    with pytest.raises(DataError) as told:
        load({"pool": pool})
    count = len(places.split(", "))
    assert str(told.value) == (
        f"data: {count} of {len(pool)} samples without a target are copies of validation or test "
        f"samples of the target (counted from 0: {places}), and a student must not learn from what "
        "it is judged by; remove these from the unlabelled ones"
    )


@pytest.mark.parametrize("labels", [0, 4, "all"])
def test_a_pool_of_the_target_has_nothing_of_the_sources_test(labels: Any) -> None:
    with pytest.raises(DataError) as told:
        load(target={"pool": [200, 35]}, labels=labels)
    assert str(told.value) == (
        "target: 1 of 2 samples without a target are copies of test samples of the source (counted "
        "from 0: 1), and a student must not learn from what it is judged by; remove these from the "
        "unlabelled ones"
    )


@pytest.mark.parametrize("labels", [0, 4, "all"])
def test_other_copies_are_no_fault(labels: Any) -> None:
    """Neither training samples of the other domain, nor those whose targets are set aside."""
    data = load({"pool": [101, 200]}, {"pool": [1, 26]}, labels=labels)
    assert len(data.train) == 2 * (24 + 2)
    shared = load({"first": 8}, {"first": 24}, labels=labels)  # the target trains on 24 to 47
    assert len(shared.train) == 2 * 24


def folder(root: Path, first: int) -> dict[str, Any]:
    for place in range(COUNT):
        file = root / "ab"[place % 2] / f"{place}.png"
        write(file, pixels([first + place])[0].transpose(1, 2, 0))
    return {"source": "image_folder", "root": root}


def own(first: int) -> dict[str, Any]:
    return {"source": HERE, "options": {"first": first}}


@pytest.mark.parametrize("bound", [TOGETHER, TOGETHER - 1])
@pytest.mark.parametrize("folders", ["both", "source", "target", "none"])
def test_both_domains_fit_in_half_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: str, bound: int
) -> None:
    in_folders = {"both": (0, 1), "source": (0,), "target": (1,), "none": ()}[folders]
    parts = [
        folder(tmp_path / str(place), 100 * place) if place in in_folders else own(100 * place)
        for place in (0, 1)
    ]
    # of its own validation split nothing is kept in the source
    held = TOGETHER if 0 in in_folders else TOGETHER - 8 * 3 * SIDE * SIDE
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * (bound - TOGETHER + held))
    sections = DataSection(**parts[0]), TargetSection(**parts[1])
    if bound == TOGETHER:
        assert len(load_domains(*sections, Problem()).train) > 24
        return
    with pytest.raises(DataError) as told:
        load_domains(*sections, Problem())
    sized = "lower data.image_size, or leave images out"
    plain = "give fewer or smaller images, as arrays"
    assert str(told.value) == ROOM + (sized if folders == "both" else plain)
    assert not list(tmp_path.rglob("*.npy"))  # nothing was decoded into a file


def test_a_source_that_stays_in_a_file_is_refused_before_the_target_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = (
        DataSection(**folder(tmp_path / "0", 0)),
        TargetSection(source="image_folder", root=tmp_path / "absent"),
    )
    monkeypatch.setattr(read_splits, "fits_memory", lambda *_: False)
    with pytest.raises(DataError, match=f"^{ROOM}lower data.image_size"):
        load_domains(*sections, Problem())


@pytest.mark.parametrize("which", ["source", "target"])
def test_mapped_images_of_ones_own_are_refused_with_other_advice(
    tmp_path: Path, which: str
) -> None:
    mapped: Any = {which: {"mapped": str(tmp_path / "own.npy")}}
    with pytest.raises(DataError) as told:
        load(**mapped)
    assert str(told.value) == f"{ROOM}give fewer or smaller images, as arrays"


def test_one_domain_is_bound_by_itself_again_after_two(monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * COUNT * 3 * SIDE * SIDE)
    assert memory.fits_memory(COUNT, SIDE, SIDE)
    with memory.beside_domain(1, sized=True):
        assert not memory.fits_memory(COUNT, SIDE, SIDE)
        with pytest.raises(DataError):
            memory.refuse_second_domain()
    assert memory.fits_memory(COUNT, SIDE, SIDE)
    memory.refuse_second_domain()
