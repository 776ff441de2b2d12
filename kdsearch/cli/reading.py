"""``kdsearch front`` and ``ranking``: what a study found.

What its folder holds of that is printed as it is, within half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kdsearch.cli.picking import print_pick
from kdsearch.cli.printing import print_front, print_json, print_ranking, print_ways, print_wrapped
from kdsearch.cli.program import AsJson, StudyFolder, Wide, app, examples, open_console
from kdsearch.cli.summaries import read_summary

if TYPE_CHECKING:
    from kdsearch.results import folder


@app.command(
    epilog=examples("kdsearch front studies/digits", "kdsearch front studies/digits --wide")
)
def front(study: StudyFolder, wide: Wide = False, as_json: AsJson = False) -> None:
    """Print the front of a study."""
    from kdsearch.results import folder

    content = read_summary(study, "front")
    if as_json:
        print_json(content["front"])
        return
    console = open_console()
    print_front(console, content, wide)
    if told := _unfinished(folder.StudyFolder(study)):
        print_wrapped(console, told)
    print_pick(console, content, str(study))


@app.command(
    epilog=examples("kdsearch ranking studies/digits", "kdsearch ranking studies/digits --ways")
)
def ranking(
    study: StudyFolder,
    wide: Wide = False,
    ways: Annotated[
        bool, typer.Option("--ways", help="Only the ways to a small model, by size.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rank a study's methods, and its ways to a small model, at one tuning budget."""
    content = read_summary(study, "ranking")
    if as_json:
        print_json(content["ways"] if ways else content["ranking"])
        return
    if ways:
        print_ways(open_console(), content)
        return
    print_ranking(open_console(), content, wide)


def _unfinished(study: folder.StudyFolder) -> str:
    """That a study was cut off, and how it goes on; empty where it was not."""
    state = study.state()
    why = f" ({state['reason']})" if state.get("reason") else ""
    ends = {"interrupted": "was interrupted", "failed": f"has failed{why}"}
    if state.get("state") == "running" and (runs := study.runs()) is not True:
        killed = "was killed"
        ends["running"] = killed if runs is False else f"has not ended: it runs, or {killed}"
    how = ends.get(state.get("state", ""))
    return f"the study {how}; kdsearch run SPEC --resume goes on with it" if how else ""
