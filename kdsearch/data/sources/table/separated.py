"""Tables of text with a separator: CSV and TSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.table.columns import ENCODING, Columns, RowFaults
from kdsearch.errors import DataError


def _records(file: Path, opened: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file that are not empty, each with the line on which it begins."""
    reader = csv.reader(opened, delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{shown_path(file)}, line {line}: the quotes of this row do not fit ({error}); "
                "close them, and double those inside a cell"
            ) from None
        if record:
            yield line, [cell.strip() for cell in record]


def separated_names(separator: str, file: Path) -> tuple[str, ...]:
    """The columns that the first line names; none in an empty file."""
    with file.open(encoding=ENCODING, newline="") as opened:
        _, names = next(_records(file, opened, separator), (0, []))
    return tuple(names)


def separated_columns(separator: str, file: Path, wanted: Sequence[str]) -> Columns:
    """The cells of some columns; a row counts by the line on which it begins."""
    numbers: list[int] = []
    cells: dict[str, list[str]] = {name: [] for name in wanted}
    faults = RowFaults(file, "line")
    sign = "tab" if separator == "\t" else "comma"
    with file.open(encoding=ENCODING, newline="") as opened:
        records = _records(file, opened, separator)
        _, names = next(records)
        places = {name: names.index(name) for name in wanted}
        for line, record in records:
            if any(record[len(names) :]):
                what = f"the row has {len(record)} cells, and the first line names {len(names)}"
                faults.add(line, what, f"put cells that hold a {sign} in quotes")
            numbers.append(line)
            for name, place in places.items():
                cells[name].append(record[place] if place < len(record) else "")
    faults.refuse()
    return Columns(file, "line", numbers, cells)
