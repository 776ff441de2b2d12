"""The files of class folders: those that count as images, and why the others do not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from kdsearch.data.images.pillow import suffixes
from kdsearch.data.sources.inventory import (
    BROKEN_LINK,
    HIDDEN,
    LOOP,
    NO_CLASS,
    NO_FILE,
    SYSTEM_MADE,
    is_system_made,
    why_skipped,
)
from kdsearch.data.sources.names import distinct, printable, shown_path
from kdsearch.errors import DataError

Counts = Counter[tuple[str, str]]
"""Files that are left out, by what they are and why."""


@dataclass
class Found:
    """What lies in a folder: images in the order of folder and name, and what is left out."""

    images: list[Path] = field(default_factory=list)
    skipped: Counts = field(default_factory=Counter)


@dataclass
class Listing:
    """A folder of class folders.

    Attributes:
        folder: The folder.
        classes: What each class folder holds, by the class's name, in the order of the labels.
        beside: Files that lie in no class folder.
    """

    folder: Path
    classes: dict[str, Found]
    beside: Counts

    @property
    def files(self) -> list[Path]:
        """All images, class by class."""
        return [file for found in self.classes.values() for file in found.images]

    @property
    def labels(self) -> list[int]:
        """The label of each."""
        counts = enumerate(self.classes.values())
        return [label for label, found in counts for _ in found.images]


def list_classes(folder: Path) -> Listing:
    """The class folders of a folder, in alphabetical order, with their files.

    Raises:
        DataError: A folder cannot be read.
    """
    own = sorted(class_folders(folder), key=lambda path: path.name)
    names = distinct([path.name for path in own])
    classes = {name: find_images(path) for name, path in zip(names, own, strict=True)}
    return Listing(folder, classes, skipped_beside(folder, {path.name for path in own}, NO_CLASS))


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, without hidden ones and those that systems make."""
    entries = [entry for entry in _entries(folder) if not _is_apart(entry.name)]
    return [Path(entry.path) for entry in entries if entry.is_dir()]


def skipped_beside(folder: Path, read: set[str], why: str) -> Counts:
    """What lies in a folder beside the folders ``read``, of which images are told as ``why``."""
    skipped: Counts = Counter()
    for entry in _entries(folder):
        if entry.name in read or entry.name == ".kdsearch":
            continue
        if entry.is_dir():
            _count_apart(skipped, entry, why)
        elif _is_image(entry.name):
            skipped[PurePath(entry.name).suffix.lower(), why] += 1
        else:
            skipped[_why(entry.name)] += 1
    return skipped


def find_images(folder: Path) -> Found:
    """The images of a folder and of those below it."""
    found = Found()
    _gather(folder, found, ())
    found.images.sort(key=lambda file: (str(file.parent), file.name))
    return found


def _gather(folder: Path, found: Found, above: tuple[tuple[int, int], ...]) -> None:
    facts = folder.stat()
    own = (facts.st_dev, facts.st_ino)
    for entry in _entries(folder):
        if entry.is_dir():
            if _is_apart(entry.name):
                _count_apart(found.skipped, entry, HIDDEN)
            elif _identity(entry) in (*above, own):
                found.skipped[f"{printable(entry.name)}/", LOOP] += 1
            else:
                _gather(Path(entry.path), found, (*above, own))
        elif not _is_image(entry.name):
            found.skipped[_why(entry.name)] += 1
        elif entry.is_file():
            found.images.append(Path(entry.path))
        else:
            why = BROKEN_LINK if entry.is_symlink() else NO_FILE
            found.skipped[printable(entry.name), why] += 1


def _count_apart(skipped: Counts, entry: os.DirEntry[str], why: str) -> None:
    """Count the files below a folder that is not read."""
    files = sum(len(names) for _, _, names in os.walk(entry.path))
    reason = SYSTEM_MADE if is_system_made(entry.name) else why
    if entry.name.startswith("."):
        reason = HIDDEN
    if files:
        skipped[f"in {printable(entry.name)}/", reason] += files


def _why(name: str) -> tuple[str, str]:
    what, reason = why_skipped(name)
    return printable(what), reason


def _is_image(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in suffixes()


def _is_apart(name: str) -> bool:
    return name.startswith(".") or is_system_made(name)


def _identity(entry: os.DirEntry[str]) -> tuple[int, int]:
    facts = entry.stat()
    return facts.st_dev, facts.st_ino


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{shown_path(folder)} cannot be read ({error.strerror}); make it readable"
        ) from error
