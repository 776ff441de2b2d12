"""``kdsearch front`` and ``ranking``: what a study found.

What its folder holds of that is printed as it is, within half a second. It is computed, which takes
PyTorch, while the study runs and where its files are of an earlier state.
"""

from __future__ import annotations

from typing import Any

from kdsearch.cli.printing import print_front, print_ranking
from kdsearch.cli.program import AsJson, StudyFolder, Wide, app, examples, open_console


@app.command(
    epilog=examples("kdsearch front studies/digits", "kdsearch front studies/digits --wide")
)
def front(study: StudyFolder, wide: Wide = False, as_json: AsJson = False) -> None:
    """Print the front of a study."""
    from kdsearch.results.front_file import read_front

    content = read_front(study)
    if as_json:
        print_json(content["front"])
        return
    console = open_console()
    print_front(console, content, wide)
    console.print(f"report: {study}", markup=False, highlight=False)


@app.command(epilog=examples("kdsearch ranking studies/digits"))
def ranking(study: StudyFolder, wide: Wide = False, as_json: AsJson = False) -> None:
    """Rank a study's methods at one tuning budget."""
    from kdsearch.results.front_file import read_ranking

    content = read_ranking(study)
    if as_json:
        print_json(content["ranking"])
        return
    print_ranking(open_console(), content, wide)


def print_json(rows: Any) -> None:
    import json

    print(json.dumps(rows, indent=1))
