"""The data of two domains: who trains, who judges, what classes are called, what normalises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, RawData, Split
from kdsearch.data.domains import load_domains
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection, TargetSection
from tests.odd_folder import write

SOURCE, TARGET, CLASSES = 300, 200, ("cat", "dog", "owl")
VALUE = Head("age", "value", named=True)
CLASS = Head("kind", "class", named=True)
LABELS = Head("tags", "labels", named=True)


def images(domain: int, count: int, side: int = 6) -> np.ndarray:
    """Images that hold their domain and number, the target's much brighter."""
    found = np.full((count, side, side), 10 + 100 * domain, np.uint8)
    found[:, 0, 0], found[:, 0, 1] = np.divmod(np.arange(count), 256)
    return found


def raw(
    domain: int,
    names: list[str] | None = None,
    side: int = 6,
    own: bool = False,
    tags: list[str] | None = None,
    pool: int = 0,
    weigh: bool = False,
    rgb: bool = False,
) -> RawData:
    """Samples whose class is their number, by the order of the names."""
    count = TARGET if domain else SOURCE
    place, classes = np.arange(count), names or list(CLASSES)
    labels: Any = place % len(classes)
    if tags:
        both = np.stack([(place % (2 + n)) == 0 for n in range(len(tags))], axis=1)
        labels = {"kind": labels, "tags": both.astype(np.float32), "age": place / 10 + domain}
    more: dict[str, Any] = {}
    if own:
        more = {"validation_images": images(domain, 40, side), "validation_labels": place[:40] % 3}
    if pool:
        more["unlabelled_images"] = images(domain, count + pool, side)[count:]
    if weigh:
        more["train_weights"] = place / 7.0
    known: Any = {"kind": classes, "tags": tags} if tags else classes
    found = images(domain, count, side)
    return RawData(np.stack([found] * 3, 1) if rgb else found, labels, classes=known, **more)


def load(
    source: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    heads: Any = (),
    **settings: Any,
) -> Dataset:
    section = DataSection(source=f"{__name__}:raw", options={"domain": 0, **(source or {})})
    options = {"domain": 1, **(target or {})}
    other = TargetSection(source=f"{__name__}:raw", options=options, **settings)
    return load_domains(section, other, Problem(heads=tuple(heads) or (Head(),)))


def numbers(split: Split, domain: int | None = None) -> list[int]:
    """Which samples a split has, of one domain or of all."""
    if domain is not None:
        split = split.take((split.images[:, 0, 3, 3] == 10 + 100 * domain).nonzero().flatten())
    return (split.images[:, 0, 0, 0].int() * 256 + split.images[:, 0, 0, 1]).tolist()


def test_the_target_joins_the_training_and_judges() -> None:
    data = load()
    assert data.source_test is not None
    assert data.train.domain is not None
    parts = [(data.train, 0), (data.source_test, 0)]
    drawn = [number for split, domain in parts for number in numbers(split, domain)]
    assert sorted(drawn) == list(range(SOURCE))  # nothing of the source is kept for validation
    assert len(data.source_test) == SOURCE // 5
    parts = [(data.train, 1), (data.validation, 1), (data.test, 1)]
    drawn = [number for split, domain in parts for number in numbers(split, domain)]
    assert sorted(drawn) == list(range(TARGET))
    assert (len(data.test), len(data.validation)) == (40, 16)
    assert numbers(data.train.take(data.train.domain.nonzero().flatten()), 1) == numbers(
        data.train, 1
    )
    assert torch.equal(data.train.labels == -1, data.train.domain)  # labels: 0
    assert bool((data.validation.labels >= 0).all())
    assert data.problem.heads[0].gaps


@pytest.mark.parametrize(("labels", "kept"), [(0, 0), (12, 12), (0.25, 36), ("all", 144)])
def test_labels_says_how_many_of_the_targets_are_known(labels: Any, kept: int) -> None:
    data = load(labels=labels)
    domain = data.train.domain
    assert domain is not None
    known = data.train.labels[domain] >= 0
    assert int(known.sum()) == kept
    assert bool((data.train.labels[~domain] >= 0).all())


def test_only_the_source_is_measured_for_normalisation() -> None:
    data = load()
    assert data.train.domain is not None
    of_source = (~data.train.domain).nonzero().flatten()
    pixels = np.asarray(data.train.take(of_source).images) / 255
    assert data.scales["image"].mean == pytest.approx([pixels.mean()], abs=1e-6)
    assert data.scales["image"].std == pytest.approx([pixels.std()], abs=1e-6)


def test_classes_go_by_their_names() -> None:
    data = load(target={"names": ["owl", "cat"]}, labels="all")
    assert data.classes == CLASSES
    for split in (data.train, data.validation, data.test):
        of_target = split.images[:, 0, 3, 3] == 110
        places = numbers(split, 1)
        assert split.labels[of_target].tolist() == [[2, 0][place % 2] for place in places]


def test_labels_and_values_go_by_their_names_too() -> None:
    source = {"tags": ["wet", "old", "red"]}
    data = load(source, {"tags": ["red", "wet"]}, (CLASS, LABELS, VALUE), labels="all")
    tags, ages = data.test.targets["tags"], data.test.targets["age"]
    places = np.array(numbers(data.test))
    assert torch.equal(tags[:, 0], torch.from_numpy(places % 3 == 0).float())
    assert torch.equal(tags[:, 2], torch.from_numpy(places % 2 == 0).float())
    assert bool(tags[:, 1].isnan().all())
    assert ages.numpy() == pytest.approx(places / 10 + 1)


def test_other_classes_than_the_sources_are_refused() -> None:
    with pytest.raises(DataError) as told:
        load(target={"names": ["dog", "bee", "ant"]})
    name = f"{__name__}:raw"
    assert str(told.value) == (
        f"target: {name} has the classes 'bee', 'ant', which {name} has not (it has 'cat', 'dog', "
        "'owl'); give them the same names, or leave these out"
    )


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DataError) as told:
        load(target={"side": 9})
    name = f"{__name__}:raw"
    assert str(told.value) == (
        f"target: between {name} and {name}, the study has training images of [1, 6, 6] and target "
        "images of [1, 9, 9] (C, H, W); make them alike"
    )


def test_a_fault_of_the_target_names_its_settings() -> None:
    with pytest.raises(DataError, match=r"^target\.limit is 3; with 3 classes it must be at least"):
        load(limit=3)
    with pytest.raises(DataError, match=r"^target\.root has no effect"):
        load(root=Path("x"))


def test_a_validation_split_of_the_source_is_left_out_and_the_targets_is_used() -> None:
    data = load({"own": True}, {"own": True})
    assert data.source_test is not None
    assert sorted(numbers(data.train, 0) + numbers(data.source_test)) == list(range(SOURCE))
    assert numbers(data.validation) == list(range(40))


def test_weights_and_samples_without_a_target_join_too() -> None:
    data = load({"weigh": True, "pool": 20}, {"pool": 30})
    domain, weights = data.train.domain, data.train.weights
    assert weights is not None
    assert domain is not None
    assert len(data.train) == 240 + 20 + 144 + 30
    assert int((data.train.labels[~domain] < 0).sum()) == 20
    assert bool((weights[domain] == 1).all())
    places = torch.tensor(numbers(data.train, 0))
    known = places < SOURCE
    assert torch.allclose(weights[~domain][known], places[known] / 7)


@pytest.mark.parametrize("both", [True, False])
def test_the_image_size_of_data_holds_for_both(tmp_path: Path, both: bool) -> None:
    for name in CLASSES:
        for number in range(10):
            write(tmp_path / name / f"{number}.png", np.full((9, 7, 3), 20 * number, np.uint8))
    folder: Any = {"source": "image_folder", "root": tmp_path}
    own: Any = {"source": f"{__name__}:raw", "options": {"domain": 0, "rgb": True}}
    data = load_domains(
        DataSection(**(folder if both else own), image_size=6),
        TargetSection(**folder),
        Problem(),
    )
    assert data.input_shapes["image"][1:] == (6, 6)
    assert len(data.inventories) == 1 + both
