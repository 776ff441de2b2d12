"""A folder of images for each class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kdsearch.data.images.read_splits import read_splits
from kdsearch.data.sources.folder_layout import split_folders
from kdsearch.data.sources.folder_scan import Listing, list_classes, skipped_beside
from kdsearch.data.sources.inventory import NO_SPLIT, ClassFiles, Inventory, as_skipped
from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.origins import split_origins
from kdsearch.data.sources.raw import RawData
from kdsearch.data.sources.root import required_root
from kdsearch.data.sources.unlabelled import (
    UNLABELLED,
    Pool,
    check_apart,
    find_pool,
    origin_of,
)
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection

_MOST_TOLD = 10


def load_image_folder(section: DataSection) -> RawData:
    """Read ``root/CLASS/...``, or ``root/train/CLASS/...`` with or without ``val/`` and ``test/``.

    The splits' folders may have any of the names in
    :data:`kdsearch.data.sources.folder_layout.NAMES`. A split without a folder is drawn from the
    training images, as the settings ``validation`` and ``test`` say. Classes are the folders'
    names in alphabetical order; their images may lie in folders of their own below. What is
    hidden, made by a system or no image that can be read is left out and told in the inventory.

    ``data.unlabelled`` adds images without a class. Images beyond the memory stay in a
    file: :func:`kdsearch.data.images.read_splits.read_splits`.

    Raises:
        DataError: No root, a test or validation folder without training images, fewer than two
            classes, classes without images, classes that differ between splits, or images that
            :func:`kdsearch.data.images.read_splits.read_splits` refuses.
    """
    root = required_root(section)
    folders = split_folders(root)
    listings = {split: list_classes(folder) for split, folder in folders.items()}
    listings = listings or {"train": list_classes(root)}
    for listing in listings.values():
        _check_classes(listing)
    _check_alike(root, listings)
    files = {split: each.files for split, each in listings.items()}
    pool = find_pool(section)
    if pool is not None:
        check_apart(pool, (file for each in files.values() for file in each))
        files |= pool.splits
    read = read_splits(files, section.side, root, section.background)
    labels = {split: each.labels for split, each in listings.items()}
    return RawData(
        read["train"],
        labels["train"],
        read.get("test"),
        labels.get("test"),
        tuple(listings["train"].classes),
        read.get("validation"),
        labels.get("validation"),
        _inventory(section, root, folders, listings, pool),
        unlabelled_images=read.get(UNLABELLED),
    )


def _check_classes(listing: Listing) -> None:
    folder, classes = shown_path(listing.folder), listing.classes
    if len(classes) < 2:
        raise DataError(
            f"{folder} holds {len(classes)} class folders; it needs one for each of at least two "
            "classes"
        )
    empty = [name for name, found in classes.items() if not found.images]
    if not empty:
        return
    skipped: Counter[str] = Counter()
    for name in empty:
        for (what, reason), count in classes[name].skipped.items():
            skipped[f"{what}: {reason}"] += count
    held = "; ".join(f"{count} {what}" for what, count in skipped.most_common(3))
    raise DataError(
        f"{folder} has no images for {_listed(empty)}{f' (it holds {held})' if held else ''}; add "
        f"images or remove the {'folder' if len(empty) == 1 else 'folders'}"
    )


def _check_alike(root: Path, listings: dict[str, Listing]) -> None:
    train = listings["train"]
    for listing in listings.values():
        odd = sorted(set(train.classes) ^ set(listing.classes))
        if odd:
            raise DataError(
                f"{shown_path(root)}: {train.folder.name}/ and {listing.folder.name}/ have "
                f"different classes ({_listed(odd)} {'is' if len(odd) == 1 else 'are'} in one "
                "alone); give both the same class folders"
            )


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_TOLD
    shown = ", ".join(f"'{name}'" for name in names[:_MOST_TOLD])
    return f"{shown} and {more} more" if more > 0 else shown


def _inventory(
    section: DataSection,
    root: Path,
    folders: dict[str, Path],
    listings: dict[str, Listing],
    pool: Pool | None,
) -> Inventory:
    titles = {split: folder.name for split, folder in folders.items()} or {"train": ""}
    classes = []
    for name in listings["train"].classes:
        found = {split: listing.classes[name] for split, listing in listings.items()}
        used = {titles[split]: len(each.images) for split, each in found.items()}
        skipped = sum((each.skipped for each in found.values()), Counter[tuple[str, str]]())
        classes.append(ClassFiles(name, used, as_skipped(skipped)))
    beside = sum((each.beside for each in listings.values()), Counter[tuple[str, str]]())
    if folders:
        read = {each.name for each in folders.values()} | _named_in(root, section)
        beside += skipped_beside(root, read, NO_SPLIT)
    beside += Counter() if pool is None else pool.skipped
    given = {split: f"{folder.name}/" for split, folder in folders.items()}
    origins = split_origins(section, given, "all images")
    told = origins | origin_of(pool)
    return Inventory(tuple(titles.values()), tuple(classes), as_skipped(beside), told)


def _named_in(root: Path, section: DataSection) -> set[str]:
    """The folder of the pool, where it lies beside those of the splits."""
    pool = section.unlabelled and section.unlabelled.root
    return {pool.name} if pool and pool.resolve().parent == root.resolve() else set()
