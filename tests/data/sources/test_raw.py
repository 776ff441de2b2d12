"""Every layout and form that a source may return, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import RawData
from kdsearch.data.sources.raw import as_raw, own_split, training_data
from kdsearch.errors import DataError
from kdsearch.problems import Problem

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 9), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def splits(images: Any, labels: Any = LABELS, **rest: Any) -> Any:
    raw, where = RawData(images, labels, **rest), "mine:load"
    train, problem = training_data(raw, where, Problem())
    return train, own_split(raw, "test", train, where, problem), problem.heads[0].names


def own_validation(raw: RawData) -> Any:
    train, problem = training_data(raw, "mine:load", Problem())
    return own_split(raw, "validation", train, "mine:load", problem)


@pytest.mark.parametrize("as_torch", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS.transpose(0, 2, 3, 1), PIXELS),
        (PIXELS[:, 0], PIXELS[:, :1]),
        (PIXELS[:, :1], PIXELS[:, :1]),
        (PIXELS[:, :1].transpose(0, 2, 3, 1), PIXELS[:, :1]),
        (np.tile(PIXELS, (1, 2, 1, 1)), np.tile(PIXELS, (1, 2, 1, 1))),
    ],
    ids=["NCHW", "NHWC", "NHW", "N1HW", "NHW1", "N6HW"],
)
def test_layouts(given: np.ndarray, expected: np.ndarray, as_torch: bool) -> None:
    images = torch.from_numpy(np.ascontiguousarray(given)) if as_torch else given
    train, test, classes = splits(images)
    np.testing.assert_array_equal(train.images.numpy(), expected)
    assert train.images.is_contiguous()
    assert test is None
    assert classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "labels",
    [LABELS.tolist(), LABELS.astype(np.uint8), LABELS.astype(">i4"), torch.from_numpy(LABELS)],
    ids=["list", "uint8", "big-endian", "tensor"],
)
def test_labels_become_int64(labels: Any) -> None:
    train, _, _ = splits(PIXELS, labels)
    assert train.labels.dtype == torch.int64
    assert train.labels.tolist() == LABELS.tolist()


def test_reversed_and_read_only_arrays_are_read() -> None:
    given = PIXELS[::-1, :, ::-1]
    given.flags.writeable = False
    train, _, _ = splits(given)
    np.testing.assert_array_equal(train.images.numpy(), given)


def test_a_test_split_of_its_own() -> None:
    _, test, classes = splits(
        PIXELS, test_images=PIXELS[:2], test_labels=[1, 2], classes=["a", "b", "c"]
    )
    np.testing.assert_array_equal(test.images.numpy(), PIXELS[:2])
    assert test.labels.tolist() == [1, 2]
    assert classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"train_images": PIXELS / 255.0}, "training data: images must be uint8.*not float64"),
        ({"train_images": torch.zeros(6, 1, 8, 8)}, "must be uint8 from 0 to 255, not float32"),
        ({"train_images": PIXELS.reshape(6, -1)}, r"shape \[6, 216\] are none of"),
        ({"train_images": PIXELS[:, :, :3, :3]}, r"shape \[6, 3, 3, 3\] are none of"),
        ({"train_images": PIXELS[:0], "train_labels": LABELS[:0]}, "holds no samples"),
        ({"train_labels": LABELS / 1.0}, r"labels must be whole numbers \[N\], not float64 \[6\]"),
        ({"train_labels": LABELS[:, None]}, r"not int64 \[6, 1\]"),
        ({"test_images": PIXELS}, "only one of test_images and test_labels"),
        ({"test_labels": LABELS}, "only one of test_images and test_labels"),
        (
            {"test_images": PIXELS[:, :, 1:], "test_labels": LABELS},
            r"training images of \[3, 8, 9\] and test images of \[3, 7, 9\]",
        ),
        ({"classes": ["a", "b", "a"]}, "classes a, b, a; give at least two"),
        ({"train_labels": LABELS * 0}, "classes 0; give at least two"),
    ],
)
def test_refusals(fields: dict[str, Any], sentence: str) -> None:
    given = {"train_images": PIXELS, "train_labels": LABELS, **fields}
    with pytest.raises(DataError, match=f"mine:load.*{sentence}"):
        splits(given.pop("train_images"), given.pop("train_labels"), **given)


@pytest.mark.parametrize(
    "value",
    [
        RawData(PIXELS, LABELS),
        {"train_images": PIXELS, "train_labels": LABELS},
        (PIXELS, LABELS),
        [PIXELS, LABELS],
    ],
    ids=["RawData", "mapping", "tuple", "list"],
)
def test_forms_without_a_test_split(value: Any) -> None:
    raw = as_raw(value, "mine:load")
    assert raw.train_images is PIXELS
    assert raw.train_labels is LABELS
    assert raw.test_images is None


def test_a_tuple_of_four_has_a_test_split() -> None:
    raw = as_raw((PIXELS, LABELS, PIXELS[:1], LABELS[:1]), "mine:load")
    assert raw.test_images is not None
    assert len(raw.test_images) == 1


def test_pairs_are_the_splits() -> None:
    train, validation, test = ((PIXELS[:n], LABELS[:n]) for n in (6, 2, 3))
    raw = as_raw((train, test), "mine:load")
    assert raw.train_images is train[0]
    assert raw.test_labels is test[1]
    assert raw.validation_images is None
    assert own_validation(raw) is None
    raw = as_raw((train, validation, test), "mine:load")
    assert raw.validation_images is validation[0]
    assert raw.test_images is test[0]
    split = own_validation(raw)
    assert split is not None
    assert split.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (
            [PIXELS[0], PIXELS[0, :, 1:]],
            LABELS[:2],
            r"images have several sizes \(3×8×9 and 3×7×9\)",
        ),
        ([[[1, 2], [3]], [[1], [2, 3]]], LABELS[:2], "images are no array"),
        (np.array([PIXELS[0], None], dtype=object), LABELS[:2], "images have several sizes or no"),
        (PIXELS[:2], [[0], [1, 2]], "labels have several sizes"),
        (PIXELS[:2], ["a", "b"], "labels must be whole numbers"),
    ],
    ids=["sizes", "ragged", "objects", "ragged labels", "names"],
)
def test_ragged_lists_are_told(images: Any, labels: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=f"mine:load's training data: {sentence}"):
        splits(images, labels)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, r"returned a NoneType; return \(images, labels\)"),
        ((1, 2, 3), "returned a tuple of 3"),
        ({"train_image": 1}, "returned the unknown key 'train_image'; did you mean 'train_images'"),
        ({"train_images": PIXELS}, "returned no 'train_labels'; add it"),
    ],
)
def test_other_forms_are_refused(value: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=f"mine:load {sentence}"):
        as_raw(value, "mine:load")
