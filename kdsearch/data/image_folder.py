"""A folder of images for each class."""

from __future__ import annotations

from pathlib import Path

import torch

from kdsearch.data.decode import decode, decoded_sides
from kdsearch.data.decoded import decoded_file
from kdsearch.data.mapped import MappedImages
from kdsearch.data.memory import fits_memory
from kdsearch.data.raw import Images, RawData
from kdsearch.data.root import required_root
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Files that count as images, in lower or upper case; others are passed over."""

Listing = tuple[list[Path], list[int], tuple[str, ...]]
"""Files, the label of each, and the class names."""


def load_image_folder(section: DataSection) -> RawData:
    """Read ``root/train/CLASS/...`` and ``root/test/CLASS/...``, or ``root/CLASS/...`` alone.

    Classes are the folders' names in alphabetical order; their images may lie in folders of
    their own below. Names that begin with a dot are passed over.

    Images that take more than half of the memory are decoded once into a file in
    ``root/.kdsearch/`` and stay there: :func:`kdsearch.data.decoded.decoded_file`.

    Raises:
        DataError: No root, one of train/ and test/ without the other, fewer than two classes, a
            class without images, classes that differ between train/ and test/, images that
            :func:`kdsearch.data.decode.decode` refuses, or no room for the decoded ones.
    """
    root = required_root(section)
    train, test = root / "train", root / "test"
    if train.is_dir() != test.is_dir():
        present, absent = ("train", "test") if train.is_dir() else ("test", "train")
        raise DataError(
            f"{root} has {present}/ but no {absent}/; add it, or set data.root to one folder of "
            "class folders to have the test drawn from it"
        )
    if not train.is_dir():
        files, labels, classes = _list(root)
        images, _ = _read(section, root, files, [])
        return RawData(images, labels, classes=classes)
    return _load_halves(section, root, _list(train), _list(test))


def _load_halves(section: DataSection, root: Path, train: Listing, test: Listing) -> RawData:
    (train_files, train_labels, classes), (test_files, test_labels, test_classes) = train, test
    if classes != test_classes:
        odd = min(set(classes) ^ set(test_classes))
        raise DataError(
            f"{root}/train and {root}/test have different classes ('{odd}' is in one alone); "
            "give both the same class folders"
        )
    train_images, test_images = _read(section, root, train_files, test_files)
    return RawData(train_images, train_labels, test_images, test_labels, classes)


def _read(
    section: DataSection, root: Path, train: list[Path], test: list[Path]
) -> tuple[Images, Images]:
    """The images of both lists of files, in memory if they fit there, else mapped."""
    size, first, total = section.image_size, train[0], len(train) + len(test)
    if fits_memory(total, *decoded_sides(first, size)):
        return decode(train, size, first), decode(test, size, first)
    everything = MappedImages(decoded_file([*train, *test], size, root), torch.arange(total))
    places = everything.rows.split([len(train), len(test)])
    return everything.take(places[0]), everything.take(places[1])


def _list(folder: Path) -> Listing:
    # Imported late: a worker that is handed its data set never pays for the import.
    from torchvision.datasets.folder import make_dataset

    classes = tuple(
        sorted(
            entry.name
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
    )
    if len(classes) < 2:
        raise DataError(
            f"{folder} holds {len(classes)} class folders; it needs one for each of at least two "
            "classes"
        )
    try:
        found = make_dataset(
            str(folder), {name: label for label, name in enumerate(classes)}, extensions=SUFFIXES
        )
    except FileNotFoundError as error:
        raise DataError(f"{folder}: {error}; add images or remove the folder") from None
    shown = [(Path(name), label) for name, label in found if not _hidden(Path(name), folder)]
    if not shown:
        raise DataError(f"{folder} holds hidden images alone; rename them without a leading dot")
    return [file for file, _ in shown], [label for _, label in shown], classes


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
