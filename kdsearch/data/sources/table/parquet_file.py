"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdsearch.data.sources.names import shown_path
from kdsearch.data.sources.table.columns import Columns
from kdsearch.errors import DataError, described
from kdsearch.spec.wording import brief


def parquet_names(file: Path) -> tuple[str, ...]:
    """The columns of the file."""
    from pyarrow import ArrowException, parquet

    try:
        return tuple(parquet.read_schema(file).names)
    except ArrowException as error:
        raise DataError(
            f"{shown_path(file)} is no Parquet file ({described(error)}); replace it"
        ) from None


def parquet_columns(file: Path, wanted: Sequence[str]) -> Columns:
    """Columns as text; rows are counted from 1."""
    from pyarrow import ArrowException, parquet

    try:
        # not read_table, which takes folders such as split=train for columns
        table = parquet.ParquetFile(file).read(list(wanted))
    except ArrowException as error:
        raise DataError(f"{shown_path(file)} is damaged ({described(error)}); replace it") from None
    cells = {name: _texts(file, name, table.column(name)) for name in wanted}
    return Columns(file, "row", range(1, len(table) + 1), cells)


def _texts(file: Path, name: str, column: Any) -> list[str]:
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        texts = column.cast(pa.string()).to_pylist()
    except pa.ArrowException:
        raise DataError(
            f"{shown_path(file)}: the column '{brief(name)}' holds {kind}; let it hold text or "
            "numbers"
        ) from None
    # where a number is missing, tables of pandas have NaN
    missing = (None, "nan") if pa.types.is_floating(kind) else (None,)
    return ["" if text in missing else text.strip() for text in texts]
