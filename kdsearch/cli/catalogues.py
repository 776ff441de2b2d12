"""``kdsearch methods`` and ``models``: what may be searched."""

from __future__ import annotations

from typing import Annotated

import typer

from kdsearch.cli.program import app, examples, open_console


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
) -> None:
    """List the distillation methods."""
    from kdsearch.methods import UNDISTILLED, parse_label
    from kdsearch.render.catalogue import method_view, methods_view

    if name is None:
        open_console().print(methods_view(), highlight=False)
        return
    if name == UNDISTILLED:
        print(f"{name}: the undistilled baseline, cross-entropy with the labels alone")
    console = open_console()
    for place, method in enumerate(parse_label(name)):
        if place:
            console.print()
        console.print(method_view(method, name.split("+")[place]), markup=False)


@app.command(epilog=examples("kdsearch models"))
def models() -> None:
    """List the model families."""
    from kdsearch.render.catalogue import models_view

    open_console().print(models_view(), markup=False)
