"""What every table for a person has in common."""

from __future__ import annotations

from collections.abc import Collection

from rich.table import Table


def plain_table(*heads: str, title: str | None = None, right: Collection[str] = ()) -> Table:
    """A plain table; columns that are too long for the line are folded."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return table
