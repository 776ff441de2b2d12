"""What several commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from kdsearch.render.columns import Layout

_LONGEST = 10_000
"""Letters of the longest line that is printed as it is."""


def print_front(console: Console, content: Mapping[str, Any], wide: bool = False) -> None:
    from kdsearch.render.front import front_view
    from kdsearch.render.front_notes import front_notes
    from kdsearch.results.gains import gain_note

    if not content["front"]:
        console.print("no trial has ended well yet, so there is no front", highlight=False)
        return
    shown = front_view(content, room(console), wide)
    print_layout(console, shown)
    for note in front_notes(content, shown):
        console.print(note, style="dim", markup=False, highlight=False)
    if note := gain_note(content):
        console.print(note, highlight=False)


def print_ranking(console: Console, content: Mapping[str, Any], wide: bool = False) -> None:
    from kdsearch.render.ranking import (
        ranked,
        ranking_notes,
        ranking_view,
        too_few_note,
    )

    if not ranked(content):
        note = too_few_note(content) or "no trial has ended yet, so there is nothing to rank"
        console.print(note, markup=False, highlight=False)
        return
    shown = ranking_view(content, room(console), wide)
    print_layout(console, shown)
    for note in ranking_notes(content, shown):
        console.print(note, style="dim", markup=False, highlight=False)
    if content.get("ways"):
        console.print()
        print_ways(console, content)


def print_ways(console: Console, content: Mapping[str, Any]) -> None:
    from kdsearch.render.ranking import ways_note, ways_view

    ways = ways_view(content, room(console))
    if ways is None:
        least = content["least_trials"]
        told = f"fewer than two ways have {least} complete trials, so there is nothing to rank"
        console.print(told, markup=False, highlight=False)
        return
    print_layout(console, ways)
    console.print(ways_note(content), style="dim", markup=False, highlight=False)


def room(console: Console) -> int | None:
    """Letters that a table may take: those of a terminal's line, and in a pipe as many as it is."""
    return console.width if console.is_terminal else None


def print_layout(console: Console, layout: Layout) -> None:
    """Print tables, and rows that are longer than the console's line as they are."""
    known = console.width
    console.width = max(known, _LONGEST)
    for place, table in enumerate(layout.tables):
        if place:
            console.print()
        console.print(table, markup=False, highlight=False)
    console.width = known


def print_wrapped(console: Console, line: str) -> None:
    """Print a sentence, which goes on in further lines between words."""
    console.print(line, highlight=False, markup=False)


def print_warnings(console: Console, warnings: list[str]) -> None:
    from kdsearch.render.inventory import WIDTH

    for warning in warnings:
        width = min(console.width, WIDTH)
        console.print(f"warning: {warning}", width=width, highlight=False, markup=False)


def print_inventory(console: Console, data: Any) -> None:
    from kdsearch.data.balance import balance_warnings
    from kdsearch.render.inventory import WIDTH, inventory_view, split_lines

    width = min(console.width, WIDTH)
    for inventory in data.inventories:
        console.print()
        console.print(inventory_view(inventory), width=width)
        for line in split_lines(inventory):
            console.print(line, width=width, highlight=False, markup=False)
    print_unlabelled(console, data)
    print_warnings(console, balance_warnings(data))


def print_unlabelled(console: Console, data: Any) -> None:
    from kdsearch.render.inventory import WIDTH, domain_line, unlabelled_line

    if line := domain_line(data) or unlabelled_line(data):
        console.print(line, width=min(console.width, WIDTH), highlight=False, markup=False)


def print_json(told: Any) -> None:
    """Print values for a program."""
    import json

    print(json.dumps(told, indent=1))
