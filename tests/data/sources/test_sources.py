"""From a source's name to a data set: the real ones, and what the settings do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kdsearch.data import SOURCES, Dataset, Split, draws, load_dataset
from kdsearch.data.dataset import scales_of
from kdsearch.data.split import draw_limit, draw_share
from kdsearch.errors import DataError
from kdsearch.models import of_images
from kdsearch.spec.sections import Augmentation, DataSection


def digits(**settings: Any) -> Dataset:
    return load_dataset(DataSection(source="digits", **settings))


def rows(*datasets: torch.Tensor) -> list[bytes]:
    return sorted(image.numpy().tobytes() for images in datasets for image in images)


def test_digits_are_all_there_scaled_and_split() -> None:
    dataset = digits()
    scans = load_digits()
    # 16 is full ink: 0 stays 0 and 16 becomes 255.
    scaled = [np.rint(scan * 255 / 16).astype(np.uint8).tobytes() for scan in scans.images]
    parts = (dataset.train, dataset.validation, dataset.test)
    assert rows(*(part.images for part in parts)) == sorted(scaled)
    assert dataset.train.images.max() == 255
    assert dataset.inputs == of_images((1, 8, 8))
    assert dataset.classes == tuple("0123456789")
    assert [len(part) for part in parts] == [1438 - 144, 144, 359]


def test_labels_stay_with_their_images() -> None:
    dataset = digits()
    scans = load_digits()
    label_of = {
        np.rint(scan * 255 / 16).astype(np.uint8).tobytes(): label
        for scan, label in zip(scans.images, scans.target, strict=True)
    }
    for part in (dataset.train, dataset.validation, dataset.test):
        expected = [label_of[image.numpy().tobytes()] for image in part.images]
        assert part.labels.tolist() == expected


def test_statistics_are_of_the_training_split_alone() -> None:
    dataset = digits(limit=60)
    pixels = dataset.train.images.numpy() / 255
    assert dataset.scales["image"].mean == pytest.approx([pixels.mean()], abs=1e-12)
    assert dataset.scales["image"].std == pytest.approx([pixels.std()], abs=1e-12)


def test_limit_leaves_the_test_alone() -> None:
    limited, whole = digits(limit=100, validation=0.3), digits(validation=0.3)
    assert [len(limited.train), len(limited.validation)] == [70, 30]
    assert torch.equal(limited.test.images, whole.test.images)
    chosen = rows(limited.train.images, limited.validation.images)
    assert set(chosen) <= set(rows(whole.train.images, whole.validation.images))


def test_the_validation_share_leaves_the_test_alone() -> None:
    assert torch.equal(digits(validation=0.4).test.images, digits(validation=0.1).test.images)


def test_every_draw_has_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def note(labels: torch.Tensor, size: float, seed: int, *rest: Any, **more: Any) -> Any:
        seeds.append(seed)
        return (draw_limit if isinstance(size, int) else draw_share)(
            labels, size, seed, *rest, **more
        )

    monkeypatch.setattr(draws, "draw_share", note)
    monkeypatch.setattr(draws, "draw_limit", note)
    digits(limit=100)
    assert len(set(seeds)) == len(seeds) == 3


def test_the_same_section_gives_the_same_data_and_another_seed_another_split() -> None:
    assert digits(seed=3).fingerprint == digits(seed=3).fingerprint
    assert digits(seed=3).fingerprint != digits(seed=4).fingerprint


@pytest.mark.parametrize(
    ("source", "mean", "first_class"),
    [("fashion_mnist", 0.2860, "T-shirt/top"), ("mnist", 0.1307, "0 - zero")],
)
def test_real_idx_files(real_data: Path, source: str, mean: float, first_class: str) -> None:
    dataset = load_dataset(DataSection(source=source, root=real_data))
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part) for part in parts] == [54_000, 6_000, 10_000]
    assert dataset.inputs == of_images((1, 28, 28))
    assert dataset.classes[0] == first_class
    whole = Split.of_classes(torch.cat([parts[0].images, parts[1].images]), torch.zeros(60_000))
    assert scales_of(whole)["image"].mean == pytest.approx((mean,), abs=5e-5)
    if source == "fashion_mnist":
        assert torch.bincount(dataset.validation.labels).tolist() == [600] * 10


def test_sources_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SOURCES["mine"] = SOURCES["digits"]  # type: ignore[index]
    assert set(SOURCES) == {
        "digits",
        "mnist",
        "fashion_mnist",
        "cifar10",
        "cifar100",
        "image_folder",
        "table",
    }
    assert all(source.about for source in SOURCES.values())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"source": "minst"}, "unknown source 'minst'; did you mean 'mnist'"),
        ({"source": "zzz"}, "unknown source 'zzz'; valid: cifar10, cifar100, digits"),
        ({"source": "cifar10"}, r"the source cifar10 reads files; set data\.root"),
        ({"source": "mnist", "root": "/no/such/place"}, "there is no folder /no/such/place"),
        ({"source": "digits", "root": "."}, r"data\.root has no effect on the source digits"),
        ({"source": "digits", "download": True}, r"data\.download has no effect"),
        ({"source": "digits", "image_size": 8}, r"data\.image_size has no effect"),
        ({"source": "digits", "options": {"a": 1}}, r"data\.options has no effect"),
        ({"source": "mine:load", "root": "."}, r"data\.root has no effect on the source mine:load"),
        ({"source": "digits", "limit": 19}, r"data\.limit is 19; .* at least 20"),
        ({"source": "digits", "augment": Augmentation(crop=8)}, r"data\.augment\.crop \(8\)"),
    ],
)
def test_refusals(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_dataset(DataSection(**settings))
