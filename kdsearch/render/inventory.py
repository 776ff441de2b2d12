"""What a folder or table holds, class by class, as a table of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from kdsearch.data import Dataset
from kdsearch.data.sources.inventory import ClassFiles, Inventory, Skipped
from kdsearch.render.tables import plain_table

WIDTH = 80
"""Columns of the table and of the lines below it."""

_MOST_ROWS = 40
_ENDS = 5
_MOST_REASONS = 4
_NAME = 26


def inventory_view(inventory: Inventory) -> Table:
    """A row for each class with its samples in each folder and what is left out of them.

    Of more than forty classes those are shown that leave files out, and the smallest and largest.
    """
    slash = "/" if inventory.of_folders else ""
    what = "images" if inventory.of_folders else "samples"
    heads = [f"{folder}{slash}" if folder else what for folder in inventory.folders]
    table = plain_table("class", *heads, "skipped, and why", right=heads)
    table.columns[0].max_width = _NAME
    for column in table.columns[1:-1]:
        column.no_wrap = True
    rows, hidden = _chosen(inventory.classes)
    for each in rows:
        counts = (f"{each.used[folder]:,}" for folder in inventory.folders)
        table.add_row(Text(each.name), *counts, Text(_reasons(each.skipped)))
    if hidden:
        totals = sorted(each.total for each in hidden)
        told = f"{len(hidden)} more classes of {totals[0]:,} to {totals[-1]:,} {what}"
        table.add_row(Text(told), *("" for _ in heads), "")
    if inventory.beside:
        table.add_row(Text("(no class)"), *("" for _ in heads), Text(_reasons(inventory.beside)))
    totals_row = (
        f"{sum(each.used[folder] for each in inventory.classes):,}" for folder in inventory.folders
    )
    skipped = f"{inventory.skipped:,} files skipped" if inventory.skipped else "none skipped"
    table.add_row(Text("all"), *totals_row, skipped, style="bold")
    return table


def split_lines(inventory: Inventory) -> list[str]:
    """Where each split comes from."""
    return [f"{split}: {origin}" for split, origin in inventory.splits.items()]


def unlabelled_line(data: Dataset) -> str:
    """How many training samples have a target, and what the others are good for; empty if all do.

    Such as "100 of 1,078 training samples have labels: …".
    """
    known = data.problem.known(data.train.targets)
    labelled = int(known.sum())
    if labelled == len(known):
        return ""
    what = "labels" if data.problem.class_heads else "targets"
    return (
        f"{labelled:,} of {len(known):,} training samples have {what}: what is distilled learns "
        "from the others too, the undistilled baseline and the teacher's training leave them out"
    )


def domain_line(data: Dataset) -> str:
    """What is learnt from either domain, and who judges; empty where there is one domain.

    Such as "the training has 1,078 samples of the source and 1,294 of the target, …".
    """
    domain, tested = data.train.domain, data.source_test
    if domain is None or tested is None:
        return ""
    known = data.problem.known(data.train.targets)
    target, labelled = int(domain.sum()), int((domain & known).sum())
    of_source = len(domain) - target
    what = "labels" if data.problem.class_heads else "targets"
    some = "none with" if not labelled else f"{labelled:,} with"
    left = int((~domain & ~known).sum())
    without = f" ({left:,} without {what})" if left else ""
    return (
        f"the training has {of_source:,} samples of the source{without} and {target:,} of the "
        f"target, {some} {what}; the baseline without adaptation and the teacher learn from "
        f"samples with {what} alone; validation and test are of the target, and finalists are "
        f"scored on {len(tested):,} test samples of the source too"
    )


def _chosen(classes: Sequence[ClassFiles]) -> tuple[list[ClassFiles], list[ClassFiles]]:
    """The classes to show, in their order, and the others."""
    if len(classes) <= _MOST_ROWS:
        return list(classes), []
    by_size = sorted(classes, key=lambda each: each.total)
    by_loss = sorted(classes, key=lambda each: -sum(one.count for one in each.skipped))
    losing = [each for each in by_loss if each.skipped][: _MOST_ROWS - 2 * _ENDS]
    shown = {each.name for each in (*by_size[:_ENDS], *by_size[-_ENDS:], *losing)}
    return (
        [each for each in classes if each.name in shown],
        [each for each in classes if each.name not in shown],
    )


def _reasons(skipped: Iterable[Skipped]) -> str:
    """Each reason on a line, with all that is left out for it."""
    by_reason: dict[str, list[str]] = {}
    for one in skipped:
        by_reason.setdefault(one.reason, []).append(f"{one.count:,} {one.what}")
    lines = []
    for reason, found in by_reason.items():
        more = len(found) - _MOST_REASONS
        shown = ", ".join(found[:_MOST_REASONS]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"{shown}: {reason}")
    return "\n".join(lines)
