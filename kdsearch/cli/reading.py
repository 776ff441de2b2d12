"""``kdsearch front`` and ``ranking``: what a study found.

What its folder holds of that is printed as it is, within half a second. It is computed, which takes
PyTorch, while the study runs and where its files are of an earlier state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.cli.picking import print_pick
from kdsearch.cli.printing import print_front, print_json, print_ranking, print_wrapped
from kdsearch.cli.program import AsJson, StudyFolder, Wide, app, examples, open_console


@app.command(
    epilog=examples("kdsearch front studies/digits", "kdsearch front studies/digits --wide")
)
def front(study: StudyFolder, wide: Wide = False, as_json: AsJson = False) -> None:
    """Print the front of a study."""
    from kdsearch.results import folder
    from kdsearch.results.front_file import read_front

    content = read_front(study)
    if as_json:
        print_json(content["front"])
        return
    console = open_console()
    print_front(console, content, wide)
    if told := _unfinished(folder.StudyFolder(study).state()):
        print_wrapped(console, told)
    print_pick(console, content, str(study))


@app.command(epilog=examples("kdsearch ranking studies/digits"))
def ranking(study: StudyFolder, wide: Wide = False, as_json: AsJson = False) -> None:
    """Rank a study's methods at one tuning budget."""
    from kdsearch.results.front_file import read_ranking

    content = read_ranking(study)
    if as_json:
        print_json(content["ranking"])
        return
    print_ranking(open_console(), content, wide)


def _unfinished(state: Mapping[str, Any]) -> str:
    """That a study has not ended, and how it goes on; empty where it has."""
    known = state.get("state")
    if known == "running":
        return "the study has not ended: it runs, or its process was killed"
    if known in ("interrupted", "failed"):
        why = f" ({state['reason']})" if known == "failed" and state.get("reason") else ""
        how = "was interrupted" if known == "interrupted" else f"has failed{why}"
        return f"the study {how}; kdsearch run SPEC --resume goes on with it"
    return ""
