"""The files that a table may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType

from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.table.columns import Columns
from kdsearch.data.sources.table.json_lines import json_columns, json_names
from kdsearch.data.sources.table.parquet_file import parquet_columns, parquet_names
from kdsearch.data.sources.table.separated import separated_columns, separated_names
from kdsearch.errors import DataError, described

_NamesOf = Callable[[Path], tuple[str, ...]]
_ColumnsOf = Callable[[Path, Sequence[str]], Columns]

_COMMAS = partial(separated_names, ","), partial(separated_columns, ",")
_TABS = partial(separated_names, "\t"), partial(separated_columns, "\t")

_KINDS: Mapping[str, tuple[_NamesOf, _ColumnsOf]] = MappingProxyType(
    {
        ".csv": _COMMAS,
        ".tsv": _TABS,
        ".jsonl": (json_names, json_columns),
        ".ndjson": (json_names, json_columns),
        ".parquet": (parquet_names, parquet_columns),
        ".pq": (parquet_names, parquet_columns),
    }
)
"""How the columns of a file are named and read, by its suffix in lower case."""


def column_names(file: Path) -> tuple[str, ...]:
    """The columns of a table, in order.

    Raises:
        DataError: No such file, or it is of another kind, empty, or cannot be read.
    """
    if not file.is_file():
        raise DataError(f"data.table.file: there is no file {shown_path(file)}; fix the path")
    names_of, _ = _kind(file)
    with _readable(file):
        names = names_of(file)
    if not names:
        raise DataError(f"{shown_path(file)} is empty; write a row for each image")
    return names


def read_columns(file: Path, wanted: Sequence[str]) -> Columns:
    """Columns of a table as text: what looks like a number, or like nothing, stays as written.

    Lines are counted as editors count them, whatever stands between quotes.

    Args:
        file: A table that :func:`column_names` has read.
        wanted: Some of its columns.

    Raises:
        DataError: It cannot be read, holds a row that is none, or no row.
    """
    _, columns_of = _kind(file)
    with _readable(file):
        found = columns_of(file, wanted)
    if not found.numbers:
        raise DataError(f"{shown_path(file)} has no rows; write one for each image")
    return found


def _kind(file: Path) -> tuple[_NamesOf, _ColumnsOf]:
    try:
        return _KINDS[file.suffix.lower()]
    except KeyError:
        raise DataError(
            f"{shown_path(file)} is no table that can be read; give a file whose name ends in "
            ".csv, .tsv, .jsonl or .parquet"
        ) from None


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(f"{shown_path(file)} is not text in UTF-8; save it so") from None
    except OSError as error:
        reason = error.strerror or described(error)
        raise DataError(
            f"{shown_path(file)} cannot be read ({reason}); replace it or make it readable"
        ) from error
