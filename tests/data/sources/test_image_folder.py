"""Folders of class folders, in both forms, and what is refused about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DataError
from kdsearch.models import of_images
from kdsearch.spec.sections import DataSection

Write = Callable[..., Path]
CLASSES = ("ant", "bee", "cow")


@pytest.fixture
def fill(write_image: Write) -> Callable[..., None]:
    """Class folders of plain images; the red channel is the class, the green one the number."""

    def write(folder: Path, samples: int, classes: tuple[str, ...] = CLASSES) -> None:
        for label, name in enumerate(classes):
            for number in range(samples):
                pixels = np.zeros((6, 6, 3), np.uint8)
                pixels[..., 0], pixels[..., 1] = label, number
                write_image(folder / name / f"{number:03}.png", pixels)

    return write


def load(root: Path, image_size: int | None = None) -> Dataset:
    section = DataSection(source="image_folder", root=root, image_size=image_size, test=0.25)
    return load_dataset(section)


def contents(*splits: object) -> list[tuple[int, int]]:
    return sorted(
        (int(image[0, 0, 0]), int(image[1, 0, 0]))
        for split in splits
        for image in split.images  # type: ignore[attr-defined]
    )


def test_one_folder_of_classes_is_split(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path, 20)
    dataset = load(tmp_path)
    assert dataset.classes == CLASSES
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [41, 4, 15]
    found = contents(dataset.train, dataset.validation, dataset.test)
    assert found == [(label, number) for label in range(3) for number in range(20)]
    for split in (dataset.train, dataset.validation, dataset.test):
        assert split.images[:, 0, 0, 0].tolist() == split.labels.tolist()


def test_train_and_test_folders_are_kept_apart(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / "train", 10)
    fill(tmp_path / "test", 4)
    dataset = load(tmp_path)
    assert [len(dataset.train), len(dataset.validation)] == [27, 3]
    assert contents(dataset.test) == [(label, number) for label in range(3) for number in range(4)]
    assert dataset.test.images[:, 0, 0, 0].tolist() == dataset.test.labels.tolist()


def test_what_is_no_image_is_passed_over(
    tmp_path: Path, fill: Callable[..., None], write_image: Write
) -> None:
    fill(tmp_path, 4)
    (tmp_path / "README.txt").write_text("about")
    (tmp_path / "ant" / "notes.txt").write_text("about ants")
    (tmp_path / ".cache").mkdir()
    grey = np.zeros((6, 6), np.uint8)
    write_image(tmp_path / "ant" / ".hidden" / "a.png", grey)
    write_image(tmp_path / "ant" / "._000.png", grey)
    write_image(tmp_path / "ant" / "more" / "UPPER.PNG", np.full((6, 6, 3), (0, 77, 0), np.uint8))
    dataset = load(tmp_path)
    assert dataset.classes == CLASSES
    found = contents(dataset.train, dataset.validation, dataset.test)
    assert len(found) == 13
    assert (0, 77) in found


def test_image_size(tmp_path: Path, fill: Callable[..., None], write_image: Write) -> None:
    fill(tmp_path, 4)
    write_image(tmp_path / "bee" / "large.jpg", np.zeros((50, 40, 3), np.uint8))
    assert load(tmp_path, image_size=5).inputs == of_images((3, 5, 5))
    with pytest.raises(DataError, match=r"large\.jpg is 50×40 .* set data\.image_size"):
        load(tmp_path)


def test_a_hidden_root_is_read(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / ".data", 4)
    assert load(tmp_path / ".data").classes == CLASSES


def test_what_has_no_folder_is_drawn_from_train(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / "train", 20)
    whole = load(tmp_path)
    fill(tmp_path / "classes", 20)
    drawn = load(tmp_path / "classes")
    assert whole.fingerprint == drawn.fingerprint
    assert whole.inventory is not None
    assert whole.inventory.splits == {
        "train": "train/",
        "validation": "10% of what the test leaves of train/, drawn class by class "
        "(data.validation)",
        "test": "25% of train/, drawn class by class (data.test)",
    }


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "Test"),
        ("TRAINING", "VALIDATION", "TESTING"),
        ("Training", "dev", "eval"),
    ],
)
def test_a_validation_folder_is_the_validation_split(
    tmp_path: Path, fill: Callable[..., None], train: str, validation: str, test: str
) -> None:
    fill(tmp_path / train, 10)
    fill(tmp_path / validation, 5)
    fill(tmp_path / test, 4)
    dataset = load(tmp_path)
    assert dataset.classes == CLASSES
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [30, 15, 12]
    assert contents(dataset.validation) == [
        (label, number) for label in range(3) for number in range(5)
    ]


def test_train_and_val_alone_have_the_test_drawn_from_train(
    tmp_path: Path, fill: Callable[..., None]
) -> None:
    fill(tmp_path / "train", 20)
    fill(tmp_path / "val", 5)
    dataset = load(tmp_path)
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [45, 15, 15]


def test_a_limit_keeps_the_same_share_of_both(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / "train", 20)
    fill(tmp_path / "val", 10)
    fill(tmp_path / "test", 2)
    section = DataSection(source="image_folder", root=tmp_path, limit=45)
    dataset = load_dataset(section)
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [30, 15, 6]


def test_two_folders_of_one_split_are_refused(tmp_path: Path, fill: Callable[..., None]) -> None:
    for name in ("train", "val", "Dev"):
        fill(tmp_path / name, 4)
    with pytest.raises(DataError, match="has both Dev/ and val/ for the validation split"):
        load(tmp_path)


def test_a_class_may_be_called_train(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path, 5, ("bus", "train", "test"))
    assert load(tmp_path).classes == ("bus", "test", "train")


def test_test_without_train_is_refused(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / "test", 4)
    with pytest.raises(DataError, match="has test/ but no train/; add it"):
        load(tmp_path)


def test_different_classes_are_refused(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path / "train", 4)
    fill(tmp_path / "test", 4, ("ant", "bee", "dog"))
    with pytest.raises(DataError, match=r"different classes \('cow', 'dog' are in one alone\)"):
        load(tmp_path)


def test_fewer_than_two_classes_are_refused(tmp_path: Path, fill: Callable[..., None]) -> None:
    with pytest.raises(DataError, match="holds 0 class folders"):
        load(tmp_path)
    fill(tmp_path, 4, ("ant",))
    with pytest.raises(DataError, match="holds 1 class folders"):
        load(tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path, 4)
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="dog"):
        load(tmp_path)


def test_hidden_images_alone_are_refused(tmp_path: Path, write_image: Write) -> None:
    for name in CLASSES:
        write_image(tmp_path / name / ".a.png", np.zeros((6, 6, 3), np.uint8))
    with pytest.raises(
        DataError, match=r"no images for 'ant', 'bee', 'cow' \(it holds 3 hidden: the name"
    ):
        load(tmp_path)


def test_a_class_too_small_to_split_is_named(tmp_path: Path, fill: Callable[..., None]) -> None:
    fill(tmp_path, 5)
    fill(tmp_path, 2, ("few",))
    with pytest.raises(DataError, match="class 'few' has 2 samples to split and needs 3"):
        load(tmp_path)
