"""Tables of one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdsearch.data.sources.table.columns import ENCODING, Columns, RowFaults
from kdsearch.spec.wording import brief


def _objects(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of the file, each with its line; refuses lines that are none, at the end."""
    faults = RowFaults(file, "line")
    with file.open(encoding=ENCODING) as opened:
        for line, text in enumerate(opened, start=1):
            if not text.strip():
                continue
            try:
                value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
            except (json.JSONDecodeError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield line, value
            else:
                faults.add(line, "this is no JSON object", "write one on each line")
    faults.refuse()


def json_names(file: Path) -> tuple[str, ...]:
    """Every key that an object of the file has."""
    names: dict[str, None] = {}
    for _, row in _objects(file):
        names |= dict.fromkeys(row)
    return tuple(names)


def json_columns(file: Path, wanted: Sequence[str]) -> Columns:
    """The values of some keys as text, numbers as they are written."""
    numbers: list[int] = []
    cells: dict[str, list[str]] = {name: [] for name in wanted}
    faults = RowFaults(file, "line")
    for line, row in _objects(file):
        numbers.append(line)
        for name in wanted:
            value = row.get(name)
            if isinstance(value, list | dict):
                kind = "a list" if isinstance(value, list) else "an object"
                what = f"'{brief(name)}' is {kind}"
                faults.add(line, what, "write one text or number")
            cells[name].append(_text(value))
    faults.refuse()
    return Columns(file, "line", numbers, cells)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # half of a pair of surrogates can stand in JSON, and in no name of a file or class
    return str(value).encode("utf-8", "backslashreplace").decode().strip()
