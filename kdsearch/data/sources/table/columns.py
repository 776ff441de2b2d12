"""Columns of a table as text, and what is wrong with its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsearch.data.sources.names import shown_path
from kdsearch.errors import DataError
from kdsearch.spec.wording import brief

ENCODING = "utf-8-sig"
"""Of tables that are text: UTF-8, with a byte order mark or without."""


@dataclass(frozen=True)
class Columns:
    """Some columns of a table.

    Attributes:
        file: The table.
        unit: What its rows are counted by, ``line`` of the file or ``row``.
        numbers: The number of each row, from 1.
        cells: The text of each row by the column's name, without blanks around it; empty where
            there is none.
    """

    file: Path
    unit: str
    numbers: Sequence[int]
    cells: Mapping[str, Sequence[str]]

    def faults(self) -> RowFaults:
        """A gathering of faults of the rows."""
        return RowFaults(self.file, self.unit)


class RowFaults:
    """Gathers the faults of a table's rows: the first of each kind, and how many there are.

    Those with one remedy are of one kind.

    Args:
        file: The table.
        unit: What its rows are counted by, ``line`` of the file or ``row``.
    """

    def __init__(self, file: Path, unit: str) -> None:
        self._file, self._unit = file, unit
        self._first: dict[str, tuple[int, str]] = {}
        self._count: dict[str, int] = {}

    def add(self, number: int, what: str, remedy: str) -> None:
        """Note a fault.

        Args:
            number: The row's line in the file, or its own number.
            what: What is wrong, as a clause.
            remedy: What to do, as a clause.
        """
        self._first.setdefault(remedy, (number, what))
        self._count[remedy] = self._count.get(remedy, 0) + 1

    def add_empty(self, number: int, column: str) -> None:
        """Note a cell in which nothing is."""
        self.add(number, f"'{brief(column)}' is empty", "fill the cell or remove the row")

    def refuse(self) -> None:
        """Raise what was found first, if anything was.

        Raises:
            DataError: The sentence.
        """
        for remedy, (number, what) in self._first.items():
            more = self._count[remedy] - 1
            likewise = f" ({more} more {'row' if more == 1 else 'rows'} likewise)" if more else ""
            raise DataError(
                f"{shown_path(self._file)}, {self._unit} {number}: {what}{likewise}; {remedy}"
            )
