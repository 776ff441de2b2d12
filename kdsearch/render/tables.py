"""What every table for a person has in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.table import Table


def plain_table(*heads: str, title: str | None = None, right: Collection[str] = ()) -> Table:
    """A plain table; columns that are too long for the line are folded."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return table


def heads_and_lines(lines: Iterable[tuple[str, str]]) -> Table:
    """A page of facts: what each is about, and the fact, folded between words where it is long."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for head, line in lines:
        table.add_row(head, line)
    return table
