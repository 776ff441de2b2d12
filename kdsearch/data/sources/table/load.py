"""A table with a row for each sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kdsearch.data.images.read_splits import read_splits
from kdsearch.data.sources.folder_layout import NAMES
from kdsearch.data.sources.inventory import ClassFiles, Inventory
from kdsearch.data.sources.names import distinct
from kdsearch.data.sources.origins import split_origins
from kdsearch.data.sources.raw import Images, RawData
from kdsearch.data.sources.root import given_root
from kdsearch.data.sources.table.rows import Rows, read_rows
from kdsearch.data.sources.table.targets import names_of, target_of
from kdsearch.data.sources.unlabelled import (
    UNLABELLED,
    Pool,
    check_apart,
    find_pool,
    origin_of,
)
from kdsearch.errors import DataError
from kdsearch.models.inputs import IMAGE, NUMBERS
from kdsearch.problems import Problem
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.sections import DataSection


def load_table(section: DataSection, problem: Problem) -> RawData:
    """Read the samples of a table: images and numbers, with their targets, splits and weights.

    Every cell of a class is text: ``007`` and ``7`` are two classes, and ``NA`` is one. Classes are
    those of the training rows, in alphabetical order, or by value where all are whole numbers; so
    are labels. Where no training row has any, they are those of all rows. Splits go by the names in
    :data:`kdsearch.data.sources.folder_layout.NAMES`; one without rows is drawn from the training
    rows, as the settings ``validation`` and ``test`` say.

    ``data.unlabelled`` adds samples without targets. Images beyond the memory stay in a
    file: :func:`kdsearch.data.images.read_splits.read_splits`.

    Raises:
        DataError: No table, a setting of images without any, or rows and images that
            :func:`~kdsearch.data.sources.table.rows.read_rows` and
            :func:`~kdsearch.data.images.read_splits.read_splits` refuse.
    """
    table = section.table
    if table is None:
        raise DataError("the source table reads a file; set data.table.file to it")
    root = given_root(section) or table.file.parent
    rows = read_rows(table, root, problem.heads)
    places = {split: found for split in NAMES if (found := rows.places(split))}
    pool = find_pool(section)
    inputs = _inputs(section, rows, places, root, pool)
    names: dict[str, list[str]] = {}
    targets: dict[str, dict[str, np.ndarray]] = {split: {} for split in places}
    for head in problem.heads:
        cells = rows.targets[head.name]
        if head.kind != "value":
            names[head.name] = names_of(head, cells, rows.splits, rows.unlabelled)
        for split, each in places.items():
            own = [cells[place] for place in each]
            known = names.get(head.name, ())
            targets[split][head.name] = target_of(head, own, known, rows.without(each))
    told = {name: tuple(distinct(each)) for name, each in names.items()}
    weights = None if rows.weights is None else np.array(rows.weights)[places["train"]]
    return RawData(
        inputs["train"],
        targets["train"],
        inputs.get("test"),
        targets.get("test"),
        told,
        inputs.get("validation"),
        targets.get("validation"),
        _inventory(section, rows, targets, problem, told, origin_of(pool)),
        weights,
        inputs.get(UNLABELLED),
    )


def _inputs(
    section: DataSection,
    rows: Rows,
    places: Mapping[str, Sequence[int]],
    root: Path,
    pool: Pool | None,
) -> dict[str, Images]:
    """The inputs of each split and of the pool: images alone, or several by name."""
    numbers = {}
    if rows.numbers is not None:
        numbers = {split: rows.numbers[each] for split, each in places.items()}
        if pool is not None:
            assert pool.numbers is not None, "the pool has the columns of the table"
            numbers[UNLABELLED] = pool.numbers
    if not rows.files:
        for name in ("root", "image_size", "background"):
            if getattr(section, name) != DataSection.model_fields[name].default:
                raise DataError(f"data.{name} has no effect without images; remove it")
        return {split: {NUMBERS: each} for split, each in numbers.items()}
    files = {split: [rows.files[place] for place in each] for split, each in places.items()}
    if pool is not None:
        check_apart(pool, rows.files)
        files |= pool.splits
    images = read_splits(files, section.side, root, section.background)
    if rows.numbers is None:
        return dict(images)
    return {split: {IMAGE: images[split], NUMBERS: numbers[split]} for split in images}


def _inventory(
    section: DataSection,
    rows: Rows,
    targets: Mapping[str, Mapping[str, np.ndarray]],
    problem: Problem,
    names: Mapping[str, Sequence[str]],
    beside: Mapping[str, str],
) -> Inventory:
    """The images of each class of the first task of classes; of others, all together."""
    column = rows.split_column
    titles = {split: split if column else "" for split in targets}
    if problem.class_heads:
        name = problem.class_heads[0].name
        counts = {titles[split]: Counter(each[name].tolist()) for split, each in targets.items()}
        found = tuple(
            ClassFiles(one, {title: count[place] for title, count in counts.items()})
            for place, one in enumerate(names[name])
        )
        without = {title: count[MISSING_CLASS] for title, count in counts.items()}
        if any(without.values()):
            found += (ClassFiles("(no class)", without),)
    else:
        every = {titles[split]: len(rows.places(split)) for split in targets}
        found = (ClassFiles("(any)", every),)
    given = {split: f"the rows of {split} in '{column}'" for split in targets if column}
    origins = split_origins(section, given, "all rows") | dict(beside)
    return Inventory(tuple(titles.values()), found, (), origins, of_folders=False)
