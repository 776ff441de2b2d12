"""A table with a row for each image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

import numpy as np

from kdsearch.data.images.read_splits import read_splits
from kdsearch.data.sources.folder_layout import NAMES
from kdsearch.data.sources.inventory import ClassFiles, Inventory
from kdsearch.data.sources.names import distinct
from kdsearch.data.sources.origins import split_origins
from kdsearch.data.sources.raw import RawData
from kdsearch.data.sources.root import given_root
from kdsearch.data.sources.table.rows import Rows, read_rows
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""A whole number as it is usually written; ``007`` is a name."""


def load_table(section: DataSection) -> RawData:
    """Read the images that a table names, with their classes, splits and weights.

    Every cell is text: ``007`` and ``7`` are two classes, and ``NA`` is one. Classes are those of
    the training rows, in alphabetical order, or by value where all are whole numbers. Splits go by
    the names in :data:`kdsearch.data.sources.folder_layout.NAMES`; one without rows is drawn from
    the training rows, as the settings ``validation`` and ``test`` say.

    Images beyond the memory stay in a file: :func:`kdsearch.data.images.read_splits.read_splits`.

    Raises:
        DataError: No table, or rows and images that
            :func:`~kdsearch.data.sources.table.rows.read_rows` and
            :func:`~kdsearch.data.images.read_splits.read_splits` refuse.
    """
    table = section.table
    if table is None:
        raise DataError("the source table reads a file; set data.table.file to it")
    root = given_root(section) or table.file.parent
    rows = read_rows(table, root)
    names = class_names({rows.labels[place] for place in rows.places("train")})
    label = {name: place for place, name in enumerate(names)}
    places = {split: found for split in NAMES if (found := rows.places(split))}
    files = {split: [rows.files[place] for place in each] for split, each in places.items()}
    read = read_splits(files, section.image_size, root, section.background)
    labels = {
        split: [label[rows.labels[place]] for place in each] for split, each in places.items()
    }
    weights = None if rows.weights is None else np.array(rows.weights)[places["train"]]
    return RawData(
        read["train"],
        labels["train"],
        read.get("test"),
        labels.get("test"),
        tuple(distinct(names)),
        read.get("validation"),
        labels.get("validation"),
        _inventory(section, rows, labels, distinct(names)),
        weights,
    )


def class_names(labels: Collection[str]) -> list[str]:
    """Labels in the order of the class indices: by value if all are whole numbers, else by name."""
    whole = all(_WHOLE.fullmatch(label) for label in labels)
    return sorted(labels, key=int) if whole else sorted(labels)


def _inventory(
    section: DataSection, rows: Rows, labels: dict[str, list[int]], classes: list[str]
) -> Inventory:
    column = rows.split_column
    titles = {split: split if column else "" for split in labels}
    counts = {titles[split]: Counter(each) for split, each in labels.items()}
    found = tuple(
        ClassFiles(name, {title: count[place] for title, count in counts.items()})
        for place, name in enumerate(classes)
    )
    given = {split: f"the rows of {split} in '{column}'" for split in labels if column}
    origins = split_origins(section, given, "all rows")
    return Inventory(tuple(titles.values()), found, (), origins, of_folders=False)
