"""Targets of which training knows no label, and those that have fewer classes than names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from kdsearch.data import Dataset, RawData, Split, load_dataset
from kdsearch.data.domains import load_domains
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection, TargetSection

HERE = f"{__name__}:samples"
TRAIN, JUDGED = 40, 16
FEW: dict[str, Any] = {"classes": (0, 3), "taught": True, "own": ()}
TASKS = (
    Head("kind", "class", named=True),
    Head("tags", "labels", named=True),
    Head("age", "value", named=True),
)


def samples(
    domain: int = 1,
    names: Any = None,
    classes: tuple[int, ...] = (0, 1, 2, 3),
    taught: bool = True,
    own: tuple[str, ...] = (),
    tags: int = 0,
    weigh: bool = False,
) -> RawData:
    """Samples of some classes in turn; each image is of its number, from 100 on in the target."""

    def part(start: int, count: int, known: bool) -> tuple[np.ndarray, Any]:
        number = np.arange(start, start + count)
        images = np.full((count, 4, 4), 100 * domain, np.uint8) + number[:, None, None]
        kind = np.array(classes)[number % len(classes)] if known else np.full(count, -1)
        if not tags:
            return images.astype(np.uint8), kind
        bits = number[:, None] >> np.arange(tags) & 1
        told = np.where(known, bits, np.nan).astype(np.float32)
        return images.astype(np.uint8), {
            "kind": kind,
            "tags": told,
            "age": np.where(known, number / 2, np.nan),
        }

    more: dict[str, Any] = {}
    for place, split in enumerate(own):
        images, labels = part(TRAIN + place * JUDGED, JUDGED, True)
        more |= {f"{split}_images": images, f"{split}_labels": labels}
    if weigh:
        more["train_weights"] = np.ones(TRAIN)
    return RawData(*part(0, TRAIN, taught), classes=names, **more)


def load(
    source: Any = (), target: Any = (), tasks: tuple[Head, ...] = (), **settings: Any
) -> Dataset:
    """Both domains; the target's training samples have no labels, unless told."""
    bare = {"domain": 1, "taught": False, "own": ("validation", "test")}
    return load_domains(
        DataSection(source=HERE, options={"domain": 0, **dict(source)}),
        TargetSection(source=HERE, options=bare | dict(target), **settings),
        Problem(heads=tasks or (Head(),)),
    )


def pixels(split: Split) -> list[int]:
    """The number that each image is of."""
    return split.images[:][:, 0, 0, 0].tolist()


def test_a_target_without_any_training_label_is_judged_by_its_own_splits() -> None:
    data = load(target={"weigh": True})
    domain = data.train.domain
    assert domain is not None
    assert int(domain.sum()) == TRAIN
    assert data.train.labels[domain].tolist() == [-1] * TRAIN
    assert bool((data.train.labels[~domain] >= 0).all())
    assert data.classes == ("0", "1", "2", "3")
    number = np.arange(TRAIN, TRAIN + JUDGED)
    assert data.validation.labels.tolist() == (number % 4).tolist()
    assert pixels(data.validation) == (100 + number).tolist()
    assert len(data.test) == JUDGED


def test_without_names_it_counts_classes_as_the_source_does() -> None:
    data = load({"names": ["cat", "dog", "owl", "bee"]}, {"classes": (3, 1)})
    assert data.classes == ("cat", "dog", "owl", "bee")
    assert sorted(set(data.test.labels.tolist())) == [1, 3]
    named = load({"names": ["cat", "dog", "owl", "bee"]}, {"names": ["bee", "owl", "dog", "cat"]})
    number = np.arange(TRAIN, TRAIN + JUDGED)
    assert named.validation.labels.tolist() == (3 - number % 4).tolist()


def test_the_numbers_that_are_names_of_the_source_stay_names() -> None:
    data = load({"names": ["3", "2", "1", "0"]}, {"taught": True}, labels="all")
    number = np.arange(TRAIN, TRAIN + JUDGED)
    assert data.validation.labels.tolist() == (3 - number % 4).tolist()
    with pytest.raises(DataError, match=r"^target: .* has the classes '0', which "):
        load({"names": ["1", "2", "3", "4"]}, {"taught": True})


def test_every_kind_of_task_may_lack_its_training_targets() -> None:
    data = load({"tags": 3}, {"tags": 2}, TASKS)
    domain = data.train.domain
    assert domain is not None
    assert bool(data.train.targets["tags"][domain].isnan().all())
    assert bool(data.train.targets["age"][domain].isnan().all())
    number = torch.arange(TRAIN, TRAIN + JUDGED)
    assert torch.equal(data.validation.targets["tags"][:, 1], (number >> 1 & 1).float())
    assert bool(data.validation.targets["tags"][:, 2].isnan().all())
    assert torch.equal(data.validation.targets["age"], number / 2)


def test_a_limit_holds_for_it_too() -> None:
    data = load(limit=28)
    domain = data.train.domain
    assert domain is not None
    assert (int(domain.sum()), len(data.validation), len(data.test)) == (20, 8, JUDGED)


@pytest.mark.parametrize(
    ("target", "labels"), [({}, "all"), ({}, 4), ({"own": ("test",)}, 0), ({"own": ()}, 0)]
)
def test_without_splits_of_its_own_or_with_labels_to_keep_it_is_refused(
    target: Any, labels: Any
) -> None:
    with pytest.raises(DataError, match=r"no sample has a target of 'label'; .*target\.seed$"):
        load(target=target, labels=labels)


def test_one_domain_needs_training_labels_still() -> None:
    options = {"taught": False, "own": ("validation", "test"), "names": list("abcd")}
    with pytest.raises(DataError, match=r"no sample has a target of 'label'"):
        load_dataset(DataSection(source=HERE, options=options))


def rows(folder: Path, name: str, kinds: list[str], judged: list[str]) -> Path:
    """A table of numbers with 24 training rows, and 8 each for validation and test."""
    table = pd.DataFrame(
        {
            "x": np.arange(40) / 8 + 10 * len(name),
            "split": ["train"] * 24 + ["val"] * 8 + ["test"] * 8,
            "label": [kinds[n % len(kinds)] for n in range(24)]
            + [judged[n % len(judged)] for n in range(16)],
        }
    )
    table.to_csv(folder / name, index=False)
    return folder / name


def test_a_table_without_a_training_label_takes_its_names_from_the_other_rows(
    tmp_path: Path,
) -> None:
    known = rows(tmp_path, "a.csv", ["ant", "bee", "cow"], ["ant", "bee", "cow"])
    bare = rows(tmp_path, "bare.csv", [""], ["cow", "bee"])
    table: dict[str, Any] = {"numbers": "x", "image": None}
    more: dict[str, Any] = {"source": "table", "table": table | {"file": bare, "unlabelled": True}}
    section = DataSection(source="table", table=table | {"file": known})
    data = load_domains(section, TargetSection(**more), Problem())
    assert data.classes == ("ant", "bee", "cow")
    assert data.validation.labels.tolist() == [2, 1] * 4
    assert data.train.labels[24:].tolist() == [-1] * 24
    with pytest.raises(DataError, match="no sample has a target of 'label'"):
        load_dataset(DataSection(**more))
    some = rows(tmp_path, "some.csv", ["", "bee"], ["cow", "bee"])
    with pytest.raises(DataError, match="no training row has the class 'cow'"):
        load_dataset(DataSection(source="table", table=more["table"] | {"file": some}))


@pytest.mark.parametrize("names", [list("abcd"), None])
@pytest.mark.parametrize("labels", [0, 6, "all"])
def test_a_class_without_a_sample_is_left_out_of_the_draws(names: Any, labels: Any) -> None:
    data = load({"names": names}, {**FEW, "names": names}, labels=labels, limit=20)
    domain = data.train.domain
    assert domain is not None
    for split in (data.validation, data.test):
        assert sorted(set(split.labels.tolist())) == [0, 3]
    kept = {0: 0, 6: 6, "all": int(domain.sum())}[labels]
    assert int((data.train.labels[domain] >= 0).sum()) == kept
    assert len(data.test) == TRAIN // 5
    assert int(domain.sum()) + len(data.validation) == 20


def test_the_draw_is_that_of_the_classes_which_are_there() -> None:
    """As without the names of the others."""
    every = load({"names": list("abcd")}, {**FEW, "names": list("abcd")})
    two = load({"names": list("adbc")}, {**FEW, "names": list("ad"), "classes": (0, 1)})
    for split in ("validation", "test"):
        assert pixels(every.splits[split]) == pixels(two.splits[split])


def test_a_target_may_have_one_class_and_the_source_none_without_samples() -> None:
    data = load(target={**FEW, "classes": (2,), "names": None})
    assert set(data.test.labels.tolist()) == {2}
    with pytest.raises(DataError, match=r"^class '1' has 0 samples to split and needs 3"):
        load({"classes": (0, 2)}, {"classes": (0, 2)})
