"""``kdsearch report``, ``importance``, ``compare`` and ``ls``: studies for a reader."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.printing import print_json, print_layout, print_wrapped, room
from kdsearch.cli.program import AsJson, StudyFolder, app, examples, open_console


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
    as_json: AsJson = False,
) -> None:
    """Tell how much each hyperparameter matters for each objective."""
    from kdsearch.results.front_file import rows
    from kdsearch.results.study import Study
    from kdsearch.search.importance import importance_table

    opened = Study.open(study)
    table = importance_table(opened)
    if as_json:
        print_json(rows(table))
        return
    from kdsearch.render.importance import importance_note, importance_view

    console = open_console()
    if not len(table):
        console.print("no trial has ended well yet, so nothing can be told", highlight=False)
        return
    title = f"importance of the hyperparameters of {opened.spec.study.name}"
    print_layout(console, importance_view(table, room(console), title))
    console.print(importance_note(table), style="dim", markup=False, highlight=False)


@app.command(epilog=examples("kdsearch compare studies/digits studies/digits-kd"))
def compare(
    studies: Annotated[
        list[Path], typer.Argument(metavar="STUDY STUDY…", help="The studies' folders.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare the fronts of studies of the same data and objective."""
    from kdsearch.errors import UserError
    from kdsearch.report.comparison import compare as compared
    from kdsearch.results.study import Study

    if len(set(studies)) < max(2, len(studies)):
        raise UserError("give two studies or more, each once")
    names = [path.resolve().name for path in studies]
    if len(set(names)) < len(names):
        names = [str(path) for path in studies]
    found = compared({name: Study.open(path) for name, path in zip(names, studies, strict=True)})
    if as_json:
        print_json(found)
        return
    from kdsearch.render.comparison import comparison_notes, sizes_view, studies_view

    console = open_console()
    print_layout(console, studies_view(found, room(console)))
    if found["sizes"]:
        console.print()
        print_layout(console, sizes_view(found, room(console)))
    for note in comparison_notes(found):
        print_wrapped(console, note)


@app.command(name="ls", epilog=examples("kdsearch ls", "kdsearch ls elsewhere/studies"))
def list_studies(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder that studies lie in.")
    ] = Path("studies"),
    as_json: AsJson = False,
) -> None:
    """List the studies in a folder."""
    from kdsearch.report.listing import studies_below

    found = studies_below(folder)
    if as_json:
        from dataclasses import asdict

        print_json([asdict(each) for each in found])
        return
    from kdsearch.render.listing import fault_lines, listing_view

    console = open_console()
    if not found:
        print_wrapped(console, f"there is no study in {folder}")
        return
    print_layout(console, listing_view(found, room(console)))
    for line in fault_lines(found):
        print_wrapped(console, line)
