"""``kdsearch front`` and ``ranking``: what a study found."""

from __future__ import annotations

from typing import Annotated

import typer

from kdsearch.cli.printing import print_front, print_ranking
from kdsearch.cli.program import StudyFolder, app, examples, open_console


@app.command(epilog=examples("kdsearch front studies/digits"))
def front(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Print the front of a study."""
    from kdsearch.results.study import Study

    opened = Study.open(study)
    if as_json:
        import json

        from kdsearch.results.front_file import rows

        print(json.dumps(rows(opened.front), indent=1))
        return
    console = open_console()
    print_front(console, opened)
    console.print(f"report: {study}", markup=False, highlight=False)


@app.command(epilog=examples("kdsearch ranking studies/digits"))
def ranking(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Rank a study's methods at one tuning budget."""
    from kdsearch.results.study import Study

    opened = Study.open(study)
    if as_json:
        import json

        from kdsearch.results.front_file import rows

        print(json.dumps(rows(opened.ranking), indent=1))
        return
    print_ranking(open_console(), opened)
