"""``kdsearch pick``: the student to ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from kdsearch.cli.printing import print_json
from kdsearch.cli.program import AsJson, StudyFolder, app, examples, open_console
from kdsearch.cli.summaries import read_summary
from kdsearch.errors import RunError, UserError

_SIZES = ("parameters", "macs", "bytes", "latency")

Most = Annotated[
    list[str] | None,
    typer.Option(
        "--max", metavar="NAME=VALUE", help="At most so much of any size or metric, such as ece=5%."
    ),
]
Least = Annotated[
    list[str] | None,
    typer.Option("--min", metavar="NAME=VALUE", help="At least so much, such as accuracy=95%."),
]
MaxParameters = Annotated[str | None, typer.Option(metavar="N", help="Such as 20k or 1M.")]
MaxMacs = Annotated[str | None, typer.Option(metavar="N", help="Multiply-accumulates a sample.")]
MaxBytes = Annotated[str | None, typer.Option(metavar="SIZE", help="Such as 250kB or 1MB.")]
MaxLatency = Annotated[str | None, typer.Option(metavar="TIME", help="Such as 5ms or 250us.")]
MinRetained = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Share of the teacher's score, such as 97%."),
]


@app.command(
    epilog=examples(
        "kdsearch pick studies/digits",
        "kdsearch pick studies/digits --max-parameters 5k --min-retained 97%",
        "kdsearch pick studies/digits --max ece=4% --min accuracy=95%",
    )
)
def pick(
    study: StudyFolder,
    max_parameters: MaxParameters = None,
    max_macs: MaxMacs = None,
    max_bytes: MaxBytes = None,
    max_latency: MaxLatency = None,
    min_retained: MinRetained = None,
    most: Most = None,
    least: Least = None,
    as_json: AsJson = False,
) -> None:
    """The student to ship: the smallest within one standard error of the best.

    Limits are held against the mean validation scores; what is reported is the test's. Exit code 1
    where no finalist keeps them.
    """
    from kdsearch.render.pick import pick_lines
    from kdsearch.render.tables import heads_and_lines
    from kdsearch.results.pick import pick as pick_student

    content = read_summary(study, "front")
    sizes = (max_parameters, max_macs, max_bytes, max_latency)
    limits = limits_of(content, sizes, min_retained, most, least)
    found = pick_student(content, limits)
    if as_json:
        told = {"pick": found.row, "cheaper": found.cheaper, "better": found.better}
        print_json(told)
        return
    console = open_console()
    page = heads_and_lines(pick_lines(content, found, str(study), limits))
    console.print(page, markup=False, highlight=False)


def print_pick(console: Console, content: Mapping[str, Any], study: str) -> None:
    """The answer, where there is one, and the commands that go on from there."""
    from kdsearch.render.pick import pick_line
    from kdsearch.render.tables import heads_and_lines
    from kdsearch.results.pick import pick as pick_student

    try:
        found = pick_student(content)
    except RunError:  # no finalist is judged yet
        return
    lines = (
        ("ship", pick_line(content, found).removeprefix("ship ")),
        ("files", f"{study}/students/trial-{found.row['trial']:04d}"),
        ("why", f"kdsearch pick {study}"),
        ("as ONNX", f"kdsearch export {study}"),
    )
    console.print()
    console.print(heads_and_lines(lines), markup=False, highlight=False)


def limits_of(
    content: Any,
    sizes: Sequence[str | None],
    retained: str | None,
    most: list[str] | None,
    least: list[str] | None,
) -> Any:
    """The limits that the options of a command say; ``sizes`` in the order of ``_SIZES``.

    Raises:
        UserError: One is no quantity.
    """
    from kdsearch.results.limits import RETAINED, Limits, quantity

    def units(name: str) -> str | None:
        if name == RETAINED:
            return "%"
        metric = content["metrics"].get(name)
        return metric and metric["unit"]

    def told(options: list[str] | None, option: str) -> dict[str, float]:
        found = {}
        for each in options or ():
            name, equals, text = each.partition("=")
            if not equals:
                raise UserError(f"{option} {each}: write NAME=VALUE, such as {option} bytes=100kB")
            found[name] = quantity(text, name, units(name))
        return found

    given = zip(_SIZES, sizes, strict=True)
    upper = {name: quantity(text, name, None) for name, text in given if text is not None}
    lower = {} if retained is None else {RETAINED: quantity(retained, RETAINED, "%")}
    return Limits(upper | told(most, "--max"), lower | told(least, "--min"))
