"""``kdsearch methods``, ``ways`` and ``models``: what may be searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kdsearch.cli.printing import print_layout, print_wrapped, room
from kdsearch.cli.program import Wide, app, examples, open_console

if TYPE_CHECKING:
    from kdsearch.render.catalogue import Facts


@app.command(
    epilog=examples(
        "kdsearch methods",
        "kdsearch methods dkd",
        "kdsearch methods kd+at",
        "kdsearch methods my_module:MyMethod",
    )
)
def methods(
    name: Annotated[
        str | None, typer.Argument(help="One method, a sum, or module:Class, in full.")
    ] = None,
    wide: Wide = False,
) -> None:
    """List the distillation methods."""
    from kdsearch.render.catalogue import find_facts, methods_notes, methods_view
    from kdsearch.render.catalogue_file import kept
    from kdsearch.spec.sums import check_sum
    from kdsearch.spec.teaching import UNDISTILLED

    console = open_console()
    if name is None:
        layout = methods_view(room(console), wide or not console.is_terminal)
        print_layout(console, layout)
        console.print()
        for note in methods_notes():
            print_wrapped(console, note)
        if console.is_terminal:
            more = "" if wide else "; --wide tells every default and range"
            print_wrapped(console, f"\nkdsearch methods NAME tells all of one{more}")
        return
    if name == UNDISTILLED:
        print(f"{name}: the undistilled baseline, cross-entropy with the labels alone")
        return
    terms, known = name.split("+"), kept()["methods"]
    if all(term in known for term in terms):
        check_sum(name, [(term, known[term]["kind"]) for term in terms])
    else:
        from kdsearch.methods import parse_label

        parse_label(name)  # refuses what is no method, or no sum of methods
    _print_in_full(console, terms, find_facts)


@app.command(
    epilog=examples("kdsearch ways", "kdsearch ways low_rank", "kdsearch ways low_rank+quantize")
)
def ways(
    name: Annotated[
        str | None, typer.Argument(help="One way, a sum, or module:Class, in full.")
    ] = None,
) -> None:
    """List the ways to a small model beside width and depth."""
    from kdsearch.render.catalogue_file import kept
    from kdsearch.render.way_catalogue import find_way_facts, ways_notes, ways_view
    from kdsearch.spec.ways import NO_WAY

    console = open_console()
    if name is None:
        print_layout(console, ways_view(room(console)))
        console.print()
        for note in ways_notes():
            print_wrapped(console, note)
        if console.is_terminal:
            print_wrapped(console, "\nkdsearch ways NAME tells all of one")
        return
    if name == NO_WAY:
        print(f"{name}: a student as it is, small by its width and depth alone")
        return
    parts = name.split("+")
    if len(parts) > 1 or parts[0] not in kept()["ways"]:
        from kdsearch.ways import parse_ways

        parse_ways(name)  # refuses what is no way, or no sum of ways
    _print_in_full(console, parts, find_way_facts)


@app.command(epilog=examples("kdsearch models"))
def models() -> None:
    """List the model families."""
    from kdsearch.render.catalogue import models_view

    open_console().print(models_view(), markup=False, highlight=False)


def _print_in_full(console: Console, parts: Sequence[str], find: Callable[[str], Facts]) -> None:
    """Print all there is to tell of each part of a sum."""
    from kdsearch.render.catalogue import method_view

    for place, part in enumerate(parts):
        if place:
            console.print()
        console.print(method_view(find(part), part), markup=False, highlight=False)
