"""``kdsearch report``, ``importance``, ``compare`` and ``ls``: studies for a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.program import StudyFolder, app, examples, open_console


@app.command(
    epilog=examples("kdsearch report studies/digits", "kdsearch report studies/digits --to paper")
)
def report(
    study: StudyFolder,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to write; default: the study's folder."),
    ] = None,
) -> None:
    """Write a page for a browser, and figures for papers (PDF and PNG)."""
    from kdsearch.report.figures import write_paper_figures
    from kdsearch.report.page import writable, write_page
    from kdsearch.results.study import Study

    opened = Study.open(study)
    folder = writable(to or study)
    print(write_page(opened, folder))
    for path in write_paper_figures(opened, folder):
        print(path)


@app.command(epilog=examples("kdsearch importance studies/digits"))
def importance(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Tell how much each hyperparameter matters for each objective."""
    from kdsearch.results.front_file import rows
    from kdsearch.results.study import Study
    from kdsearch.search.importance import importance_table

    opened = Study.open(study)
    table = importance_table(opened)
    if as_json:
        import json

        print(json.dumps(rows(table), indent=1))
        return
    from kdsearch.render.importance import importance_note, importance_view

    console = open_console()
    if not len(table):
        console.print("no trial has ended well yet, so nothing can be told", highlight=False)
        return
    title = f"importance of the hyperparameters of {opened.spec.study.name}"
    console.print(importance_view(table, title), markup=False)
    console.print(importance_note(table), style="dim", markup=False, highlight=False)
