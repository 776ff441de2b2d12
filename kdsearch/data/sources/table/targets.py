"""The targets of a table's rows: checked, and read as those of the tasks."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kdsearch.data.sources.table.columns import Columns
from kdsearch.errors import DataError
from kdsearch.problems import Head
from kdsearch.problems.head import MISSING_CLASS, UNNAMED
from kdsearch.spec.table import TableSection
from kdsearch.spec.wording import brief

_BETWEEN = ";"
"""Stands between the labels of a cell."""

LARGEST = float(np.finfo(np.float32).max)
"""What the number in a cell must not exceed, nor fall below as a negative one."""

_FILL = (
    "fill the cell or remove the row, or set data.table.unlabelled to true to distil the sample "
    "without a target"
)
"""What to do about a training row without any target."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""A whole number as it is usually written; ``007`` is a name."""


def target_columns(table: TableSection, heads: Sequence[Head]) -> dict[str, str]:
    """The column of each task.

    Raises:
        DataError: Several tasks, and columns of other names.
    """
    names = [head.name for head in heads]
    given = table.target or tuple(names)
    if len(heads) == len(given) == 1:
        return {names[0]: given[0]}
    if len(heads) == 1 and names[0] == UNNAMED:
        raise DataError(
            f"data.table.target names {len(given)} columns; say in problem.tasks what kind of "
            "target each is, or name one"
        )
    for name in names:
        if name not in given:
            raise DataError(
                f"data.table.target names no column '{name}', which problem.tasks has; name it, or "
                "leave data.table.target out"
            )
    return {name: name for name in names}


def labels_of(cell: str) -> list[str]:
    """The labels in a cell."""
    return [label for each in cell.split(_BETWEEN) if (label := each.strip())]


def number_of(cell: str) -> float:
    """The number in a cell; NaN where there is none."""
    try:
        return math.nan if "_" in cell else float(cell)  # Python's own way to write thousands
    except ValueError:
        return math.nan


def check_targets(
    read: Columns,
    columns: Mapping[str, str],
    heads: Sequence[Head],
    splits: Sequence[str],
    unlabelled: bool = False,
) -> None:
    """Refuse rows with cells that cannot be targets.

    A row of several tasks may lack some of its targets, though not all; of labels, an empty cell
    says that there are none.

    Args:
        read: The table.
        columns: The column of each task.
        heads: The tasks.
        splits: The split of each row.
        unlabelled: Whether a training row may lack all targets, labels among them.

    Raises:
        DataError: The first fault.
    """
    if unlabelled or all(head.kind != "labels" for head in heads):
        _check_some(read, list(columns.values()), splits, unlabelled)
    for head in heads:
        cells = read.cells[columns[head.name]]
        if head.kind == "value":
            _check_values(read, columns[head.name], cells)
        else:
            _check_names(read, head, cells, splits, unlabelled)


def _check_some(
    read: Columns, columns: Sequence[str], splits: Sequence[str], unlabelled: bool
) -> None:
    """Refuse a row in which the cells of all targets are empty."""
    faults = read.faults()
    for place, (number, split) in enumerate(zip(read.numbers, splits, strict=True)):
        if any(read.cells[column][place] for column in columns):
            continue
        empty = f"'{brief(columns[0])}' is empty"
        if split != "train":
            faults.add(number, f"{empty} in this {split} row", "fill the cell or remove the row")
        elif not unlabelled:
            faults.add(number, empty, _FILL)
    faults.refuse()


def _check_values(read: Columns, column: str, cells: Sequence[str]) -> None:
    faults = read.faults()
    for number, cell in zip(read.numbers, cells, strict=True):
        if cell and not abs(number_of(cell)) <= LARGEST:  # nor NaN
            what = f"'{brief(cell)}' in '{brief(column)}' is no finite number"
            faults.add(number, what, "correct it, or leave the cell empty among several targets")
    faults.refuse()


def _check_names(
    read: Columns, head: Head, cells: Sequence[str], splits: Sequence[str], unlabelled: bool
) -> None:
    """Refuse a class or label that no training row has, where any of these has one."""
    one = "class" if head.kind == "class" else "label"
    rows = [
        (number, name, split)
        for number, cell, split in zip(read.numbers, cells, splits, strict=True)
        for name in _names(head, cell)
    ]
    known = set(names_of(head, cells, splits, unlabelled))
    faults = read.faults()
    for number, name, split in rows:
        if name not in known:
            faults.add(
                number,
                f"no training row has the {one} '{brief(name)}' of this {split} row",
                f"correct it, or add training rows of the {one}",
            )
    faults.refuse()


def _names(head: Head, cell: str) -> list[str]:
    return labels_of(cell) if head.kind == "labels" else [cell] if cell else []


def class_names(labels: Collection[str]) -> list[str]:
    """Labels in the order of the class indices: by value if all are whole numbers, else by name."""
    whole = all(_WHOLE.fullmatch(label) for label in labels)
    return sorted(labels, key=int) if whole else sorted(labels)


def names_of(
    head: Head, cells: Sequence[str], splits: Sequence[str], unlabelled: bool
) -> list[str]:
    """The classes or labels of the training rows, in the order of their indices.

    Where no training row has any, as a target domain's may, they are those of all rows.

    Args:
        head: The task.
        cells: The text of each target.
        splits: The split of each row.
        unlabelled: Whether an empty cell of labels says nothing, not that there are none.
    """
    own = [cell for cell, split in zip(cells, splits, strict=True) if split == "train"]
    told = any(own) or (head.kind == "labels" and not unlabelled)
    return class_names({name for cell in (own if told else cells) for name in _names(head, cell)})


def target_of(
    head: Head, cells: Sequence[str], names: Sequence[str], unlabelled: Sequence[int] = ()
) -> np.ndarray:
    """The targets of a task: class indices [N], labels [N, K], or values [N].

    Args:
        head: The task.
        cells: The text of each target.
        names: The classes or labels.
        unlabelled: Which rows have no target at all.
    """
    place = {name: number for number, name in enumerate(names)}
    if head.kind == "class":
        return np.array([place[cell] if cell else MISSING_CLASS for cell in cells], dtype=np.int64)
    if head.kind == "value":
        return np.array([number_of(cell) for cell in cells], dtype=np.float64)
    found = np.zeros((len(cells), len(names)), dtype=np.float32)
    for row, cell in enumerate(cells):
        found[row, [place[label] for label in labels_of(cell)]] = 1
    found[list(unlabelled)] = np.nan
    return found
