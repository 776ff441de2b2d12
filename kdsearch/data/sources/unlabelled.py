"""A pool of samples without targets, beside the data of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from kdsearch.data.column import joined
from kdsearch.data.dataset import Split
from kdsearch.data.labels import missing
from kdsearch.data.sources.folder_scan import Counts, find_images
from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.raw import RawData, like_training, read_inputs
from kdsearch.data.sources.table.rows import read_samples
from kdsearch.errors import DataError
from kdsearch.files import checksum
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection
from kdsearch.spec.table import TableSection

UNLABELLED = "unlabelled"
"""What the pool is called where the splits are named."""


@dataclass(frozen=True)
class Pool:
    """The samples that ``data.unlabelled`` names.

    Attributes:
        files: Their images; none where they are numbers alone.
        numbers: [N, D] numbers of each, where the source's samples have them.
        told: What they are, in words.
        skipped: Files of the folder that are left out.
    """

    files: list[Path]
    numbers: np.ndarray | None
    told: str
    skipped: Counts = field(default_factory=Counter)

    @property
    def splits(self) -> dict[str, list[Path]]:
        """The images as a split to read beside the source's own."""
        return {UNLABELLED: self.files}


def find_pool(section: DataSection) -> Pool | None:
    """The pool of a source that reads files; ``None`` where the study has none.

    Raises:
        DataError: No such folder or table, nothing in it, or rows that cannot be used.
    """
    given = section.unlabelled
    if given is None:
        return None
    if given.root is not None and not given.root.is_dir():
        raise DataError(f"data.unlabelled.root: there is no folder {given.root}; fix the path")
    if given.table is not None:
        return _of_table(section, given.table.file, given.table.image, given.root)
    assert given.root is not None, "a pool has a folder or a table"
    if section.table is not None and (section.table.image is None or section.table.numbers):
        raise DataError(
            "data.unlabelled.root: the samples of data.table have numbers, which a folder of "
            "images has not; set data.unlabelled.table.file to a table with them"
        )
    found = find_images(given.root)
    folder = shown_path(given.root)
    if not found.images:
        raise DataError(f"data.unlabelled.root: {folder} holds no images; fix the path")
    told = f"{len(found.images):,} images in {folder}"
    return Pool(found.images, None, told, found.skipped)


def _of_table(section: DataSection, file: Path, image: str | None, root: Path | None) -> Pool:
    """The samples of a table whose columns are those of ``data.table``, where there is one."""
    own = section.table
    numbers = None if own is None else own.numbers
    column = "image" if own is None else own.image
    column = column and (image or column)  # numbers alone stay so
    table = TableSection(file=file, image=column, numbers=numbers)
    files, values = read_samples(table, root or file.parent, "data.unlabelled")
    count = len(files) if values is None else len(values)
    if not count:
        raise DataError(f"data.unlabelled.table.file: {shown_path(file)} has no rows; fix the path")
    return Pool(files, values, f"{count:,} rows of {shown_path(file)}")


def check_apart(pool: Pool, files: Iterable[Path]) -> None:
    """Refuse a pool that has images of the source itself, which may be those of the test.

    Raises:
        DataError: A file, or a copy of it, is in both.
    """
    own = list(files)
    sizes = {file.stat().st_size for file in own}
    alike = [file for file in pool.files if file.stat().st_size in sizes]
    same_size = {file.stat().st_size for file in alike}
    known = {checksum(file) for file in own if file.stat().st_size in same_size}
    both = [file for file in alike if checksum(file) in known]
    if both:
        raise DataError(
            f"data.unlabelled: {len(both):,} of its images are among the labelled ones too, such "
            f"as {shown_path(both[0])} or a copy of it; keep each in one place"
        )


def with_unlabelled(train: Split, raw: RawData, where: str, problem: Problem) -> Split:
    """The training data of a source, and behind them its samples without targets.

    Args:
        train: The training data.
        raw: As the source gave them.
        where: The source.
        problem: The tasks, with the names of their classes.

    Raises:
        DataError: Inputs that are not like those of the training data.
    """
    if raw.unlabelled_images is None:
        return train
    told = f"{where}'s unlabelled data"
    inputs = like_training(read_inputs(raw.unlabelled_images, told), train, UNLABELLED, where)
    counts = {name: len(column) for name, column in inputs.items()}
    samples = next(iter(counts.values()))
    if len(set(counts.values())) > 1:
        shown = " and ".join(f"{count} of '{name}'" for name, count in counts.items())
        raise DataError(f"{told} hold {shown}; give each sample all inputs")
    weights = train.weights
    return replace(
        train,
        inputs={name: joined(each, inputs[name], told) for name, each in train.inputs.items()},
        targets={
            head.name: torch.cat([train.targets[head.name], missing(head, samples)])
            for head in problem.heads
        },
        weights=None if weights is None else torch.cat([weights, torch.ones(samples)]),
    )


def origin_of(pool: Pool | None) -> dict[str, str]:
    """Where the pool comes from, as the splits of a source are told."""
    return {} if pool is None else {UNLABELLED: pool.told}
