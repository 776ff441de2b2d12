"""Which folders of a data set are its splits, by the names that are common for them."""

from __future__ import annotations

from pathlib import Path

from kdsearch.data.sources.folder_scan import class_folders
from kdsearch.data.sources.names import shown_path
from kdsearch.errors import DataError

NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval"),
}
"""What each split is called, in lower or upper case."""


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that ``root`` has, by the split; none if it holds class folders.

    A folder is a split's if it has a name of :data:`NAMES` and holds folders itself: a class may
    be called ``train``.

    Raises:
        DataError: Two folders of one split, or a test or validation folder without training data.
    """
    found: dict[str, Path] = {}
    others = []
    for folder in class_folders(root):
        split = split_named(folder.name)
        if split is None or not class_folders(folder):
            others.append(folder)
            continue
        if split in found:
            raise DataError(
                f"{shown_path(root)} has both {found[split].name}/ and {folder.name}/ for the "
                f"{split} split; keep one"
            )
        found[split] = folder
    if found and "train" not in found and not others:
        present = " and ".join(f"{folder.name}/" for folder in found.values())
        raise DataError(
            f"{shown_path(root)} has {present} but no train/; add it, or set data.root to one "
            "folder of class folders to have the splits drawn from it"
        )
    return {split: found[split] for split in NAMES if split in found and "train" in found}


def split_named(name: str) -> str | None:
    """The split that goes by a name of :data:`NAMES`."""
    return next((split for split, names in NAMES.items() if name.lower() in names), None)
