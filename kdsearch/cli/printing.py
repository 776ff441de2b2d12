"""What several commands print."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def print_front(console: Console, study: Any) -> None:
    from kdsearch.render.study import front_note, front_view, gain_note

    table = study.front
    if not len(table):
        console.print("no trial has ended well yet, so there is no front", highlight=False)
        return
    title = f"front of {study.spec.study.name}"
    console.print(front_view(table, title, console.width), markup=False)
    console.print(front_note(table, console.width), style="dim", highlight=False)
    if note := gain_note(table, study.size):
        console.print(note, highlight=False)


def print_ranking(console: Console, study: Any) -> None:
    from kdsearch.render.study import ranking_note, ranking_view

    table = study.ranking
    if not len(table):
        console.print("no trial has ended yet, so there is nothing to rank", highlight=False)
        return
    title = f"methods of {study.spec.study.name} at one budget"
    console.print(ranking_view(table, title), markup=False)
    console.print(ranking_note(table), style="dim", markup=False, highlight=False)


def print_warnings(console: Console, warnings: list[str]) -> None:
    from kdsearch.render.inventory import WIDTH

    for warning in warnings:
        width = min(console.width, WIDTH)
        console.print(f"warning: {warning}", width=width, highlight=False, markup=False)


def print_inventory(console: Console, data: Any) -> None:
    from kdsearch.data.balance import balance_warnings
    from kdsearch.render.inventory import WIDTH, inventory_view, split_lines

    width = min(console.width, WIDTH)
    if data.inventory is not None:
        console.print()
        console.print(inventory_view(data.inventory), width=width)
        for line in split_lines(data.inventory):
            console.print(line, width=width, highlight=False, markup=False)
    print_unlabelled(console, data)
    print_warnings(console, balance_warnings(data))


def print_unlabelled(console: Console, data: Any) -> None:
    from kdsearch.render.inventory import WIDTH, unlabelled_line

    if line := unlabelled_line(data):
        console.print(line, width=min(console.width, WIDTH), highlight=False, markup=False)
