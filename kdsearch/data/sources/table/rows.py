"""The rows of a table, each checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdsearch.data.sources.folder_layout import split_named
from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.table.columns import Columns
from kdsearch.data.sources.table.files import column_names, read_columns
from kdsearch.data.sources.table.numbers import read_numbers
from kdsearch.data.sources.table.targets import (
    LARGEST,
    check_targets,
    number_of,
    target_columns,
)
from kdsearch.errors import DataError
from kdsearch.problems import Head
from kdsearch.spec.names import suggest
from kdsearch.spec.table import TableSection
from kdsearch.spec.wording import brief

_SPLIT = "split"
"""Column that is read as the splits, where none is named and there is one."""


@dataclass(frozen=True)
class Rows:
    """The rows of a table.

    Attributes:
        files: The image of each; none where no column names them.
        numbers: [N, D] numbers of each, where columns have them.
        targets: The text of each target by its task, empty where a task of several is missing.
        splits: ``train``, ``validation`` or ``test``; all ``train`` where no column says so.
        weights: Its weight, where a column has it; 1 in rows that are not trained on.
        split_column: The column that says so, if there is one.
        unlabelled: Whether training rows may lack every target.
    """

    files: Sequence[Path]
    numbers: np.ndarray | None
    targets: Mapping[str, Sequence[str]]
    splits: Sequence[str]
    weights: Sequence[float] | None
    split_column: str | None
    unlabelled: bool = False

    def without(self, places: Sequence[int]) -> list[int]:
        """Which of the rows at some places lack every target, counted among those."""
        columns = list(self.targets.values())
        rows = enumerate(places if self.unlabelled else ())
        return [number for number, place in rows if not any(cells[place] for cells in columns)]

    def places(self, split: str) -> list[int]:
        """Which rows belong to a split."""
        return [place for place, name in enumerate(self.splits) if name == split]


def read_rows(table: TableSection, root: Path, heads: Sequence[Head] = (Head(),)) -> Rows:
    """Read and check the rows of a table.

    Args:
        table: The file and its columns.
        root: The folder in which relative paths begin.
        heads: The tasks, of which each has a column.

    Raises:
        DataError: A column that is not there, or a row that cannot be used: an empty cell where
            something must be, an unknown split, a weight that is no number of at least 0, a class
            or label that no training row has where some have one, a value that is no number, an
            image that is missing or stands in two rows, a number that is none.
    """
    columns = target_columns(table, heads)
    split = _check_columns(table, columns)
    given = (table.image, *(table.numbers or ()), *columns.values(), split, table.weight)
    wanted = dict.fromkeys(given)
    read = read_columns(table.file, [name for name in wanted if name is not None])
    for name in (table.image, split):
        _check_filled(read, name)
    splits = _splits(read, split)
    weights = None if table.weight is None else _weights(read, table.weight, splits)
    cells = {task: read.cells[column] for task, column in columns.items()}
    check_targets(read, columns, heads, splits, table.unlabelled)
    files = () if table.image is None else _files(read, table.image, root)
    numbers = None if table.numbers is None else read_numbers(read, table.numbers)
    return Rows(files, numbers, cells, splits, weights, split, table.unlabelled)


def read_samples(
    table: TableSection, root: Path, section: str
) -> tuple[list[Path], np.ndarray | None]:
    """The image and the numbers of each row of a table, whatever other columns it has.

    Args:
        table: The file, and its columns of images and numbers.
        root: The folder in which relative paths begin.
        section: Where both stand in the file, for messages.

    Returns:
        The image of each row, none where no column names them; its numbers [N, D], where columns
        have them.

    Raises:
        DataError: A column that is not there, or a row that cannot be used.
    """
    _check_columns(table, {}, section)
    wanted = (table.image, *(table.numbers or ()))
    read = read_columns(table.file, [name for name in wanted if name is not None])
    _check_filled(read, table.image)
    files = [] if table.image is None else _files(read, table.image, root, section)
    return files, None if table.numbers is None else read_numbers(read, table.numbers)


def _check_columns(
    table: TableSection, targets: Mapping[str, str], section: str = "data"
) -> str | None:
    """Refuse columns that are not there; the column of the splits, if there is one."""
    names = column_names(table.file)
    split = _SPLIT if table.split is None and _SPLIT in names else table.split
    chosen: list[tuple[str, str | None]] = [("image", table.image)]
    chosen += [("numbers", column) for column in table.numbers or ()]
    chosen += [("target", column) for column in targets.values()]
    chosen += [("split", split), ("weight", table.weight)]
    for number in table.numbers or ():
        others = [setting for setting, other in chosen if other == number and setting != "numbers"]
        if others:
            raise DataError(
                f"{shown_path(table.file)}: the column '{brief(number)}' is data.table.{others[0]} "
                "and stands in data.table.numbers too, where a network would see it; leave it out "
                "there"
            )
    for setting, name in chosen:
        if name is None or names.count(name) == 1:
            continue
        where, shown = shown_path(table.file), brief(name)
        if name in names:
            raise DataError(f"{where} has several columns '{shown}'; rename all but one")
        other = ", or to null if it has no images" if setting == "image" else ""
        raise DataError(
            f"{where} has no column '{shown}'; set {section}.table.{setting} to one that it has "
            f"({suggest(name, map(brief, names))}){other}"
        )
    return split


def _check_filled(read: Columns, name: str | None) -> None:
    faults = read.faults()
    for number, cell in zip(read.numbers, read.cells[name] if name else (), strict=False):
        if not cell:
            faults.add_empty(number, str(name))
    faults.refuse()


def _splits(read: Columns, column: str | None) -> list[str]:
    if column is None:
        return ["train"] * len(read.numbers)
    found, faults = [], read.faults()
    for number, cell in zip(read.numbers, read.cells[column], strict=True):
        split = split_named(cell)
        if split is None:
            faults.add(number, f"'{brief(cell)}' is no split", "write train, validation or test")
        found.append(split or "")
    faults.refuse()
    if "train" not in found:
        raise DataError(
            f"{shown_path(read.file)} has no row of train in '{brief(column)}'; add the training "
            "rows"
        )
    return found


def _weights(read: Columns, column: str, splits: Sequence[str]) -> list[float]:
    found, faults = [], read.faults()
    for number, cell, split in zip(read.numbers, read.cells[column], splits, strict=True):
        weight = number_of(cell) if split == "train" else 1.0
        if not 0 <= weight <= LARGEST:  # nor NaN
            told = f"the weight '{brief(cell)}' is no finite number of at least 0"
            faults.add(number, told if cell else "the weight is empty", "correct it")
        found.append(weight)
    faults.refuse()
    return found


def _files(read: Columns, column: str, root: Path, section: str = "data") -> list[Path]:
    first: dict[str, int] = {}
    missing, twice = read.faults(), read.faults()
    files = []
    for number, cell in zip(read.numbers, read.cells[column], strict=True):
        file = _file(root, cell)
        if file is None:
            missing.add(
                number,
                f"there is no image {brief(str(root / cell), 200)}",
                f"correct the path, or set {section}.root to the folder in which it begins",
            )
            continue
        name = os.path.normpath(file)
        if name in first:
            twice.add(
                number,
                f"the image {brief(cell)} is in {read.unit} {first[name]} too",
                "keep one row for each image, with a weight where it shall count more",
            )
        first.setdefault(name, number)
        files.append(file)
    missing.refuse()
    twice.refuse()
    return files


def _file(root: Path, cell: str) -> Path | None:
    """The file of a path, which may be written as Windows does; ``None`` where there is none."""
    for written in dict.fromkeys((cell, cell.replace("\\", "/"))):
        if os.path.isfile(root / written):
            return root / written
    return None
