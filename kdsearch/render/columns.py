"""Tables whose rows are one line each: what has no room is left out or cut, and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

ALWAYS = 0
"""Rank of a column that is never left out."""

CUT_FIRST = 3
"""Columns up to this rank are left out only where cutting cells does not make enough room."""

KEYS = 2
"""The first columns, which tell a row: each part of a table that is printed in parts has them."""

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: What stands above it.
        cells: One a row.
        rank: Columns of a large rank are left out first, those of rank :data:`ALWAYS` never.
        right: Whether it is aligned to the right, as numbers are.
        least: To how many letters a cell may be cut where there is no room; absent: never cut.
    """

    head: str
    cells: Sequence[str]
    rank: int = ALWAYS
    right: bool = True
    least: int | None = None

    @property
    def width(self) -> int:
        """Letters of its longest cell."""
        return max(map(cell_len, (self.head, *self.cells)))

    @property
    def narrowest(self) -> int:
        """Letters that it needs at least."""
        if self.least is None:
            return self.width
        return min(self.width, max(self.least, cell_len(self.head)))

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not any(self.cells)


@dataclass(frozen=True)
class Layout:
    """Rows as a table, or in parts one below the other.

    Attributes:
        tables: The parts; no row of them is folded.
        heads: Heads of all columns that are shown.
        hint: What is missing and how to see it; empty where all is there.
    """

    tables: tuple[Table, ...]
    heads: tuple[str, ...]
    hint: str = ""


def fitted(columns: Sequence[Column], width: int | None, title: str | None = None) -> Layout:
    """A table of the columns that have room in a line of so many letters.

    Columns that say nothing are left out silently.

    Args:
        columns: From left to right.
        width: Letters of a line; ``None``: as many as the table needs.
        title: The line above.
    """
    kept, left_out = _chosen(columns, width)
    widths = _widths(kept, width)
    cut = any(letters < column.width for column, letters in zip(kept, widths, strict=True))
    hints = [column.head for column in left_out] + ["what is cut"] * cut
    hint = f"--wide also shows {', '.join(hints)}" if hints else ""
    return Layout((_table(kept, widths, title),), tuple(column.head for column in kept), hint)


def in_parts(columns: Sequence[Column], width: int | None, title: str | None = None) -> Layout:
    """All that the columns say: those that have no room in a line stand in further tables below.

    Args:
        columns: From left to right; the first :data:`KEYS` are repeated.
        width: Letters of a line; ``None``: as many as one table needs.
        title: The line above the first.
    """
    whole = [replace(column, least=None) for column in columns if not column.empty]
    keys, left = [replace(column, rank=ALWAYS) for column in whole[:KEYS]], whole[KEYS:]
    tables: list[Table] = []
    while left:
        kept, rest = _chosen([*keys, *left], width)
        if len(rest) >= len(left):  # none of which has room beside the keys
            kept, rest = [*keys, left[0]], left[1:]
        tables.append(_table(kept, _widths(kept, None), None if tables else title))
        left = [column for column in rest if column not in keys]
    return Layout(tuple(tables), tuple(column.head for column in whole))


def _chosen(columns: Sequence[Column], width: int | None) -> tuple[list[Column], list[Column]]:
    """The columns that have room, and those that have none."""
    said = [column for column in columns if not column.empty or column.rank == ALWAYS]
    kept = list(said)
    if width is not None:
        for natural, spared in ((True, CUT_FIRST), (False, ALWAYS)):
            while _over(kept, width, natural) > 0 and (last := _last(kept, spared)) is not None:
                kept.pop(last)
    return kept, [column for column in said if column not in kept]


def _table(columns: Sequence[Column], widths: Sequence[int], title: str | None) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column, letters in zip(columns, widths, strict=True):
        table.add_column(
            column.head,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            width=letters,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _over(columns: Sequence[Column], width: int, natural: bool) -> int:
    """By how many letters the columns are too wide."""
    letters = sum(each.width if natural else each.narrowest for each in columns)
    return letters + _GAP * (len(columns) - 1) - width


def _last(columns: Sequence[Column], spared: int) -> int | None:
    """The place of the column to leave out next, if there is one above a rank."""
    ranks = [(column.rank, place) for place, column in enumerate(columns)]
    rank, place = max(ranks, default=(ALWAYS, 0))
    return place if rank > spared else None


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """The letters that each column gets: what is too much is cut where most is to spare."""
    widths = [column.width for column in columns]
    for _ in range(max(0, _over(columns, width, natural=True)) if width is not None else 0):
        spare = [w - column.narrowest for w, column in zip(widths, columns, strict=True)]
        most = max(range(len(spare)), key=spare.__getitem__)
        if spare[most] <= 0:
            break
        widths[most] -= 1
    return widths
