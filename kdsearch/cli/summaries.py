"""The front or the ranking of a study, for the commands that need it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from kdsearch.results.front_file import Name


def read_summary(study: Path, name: Name) -> Mapping[str, Any]:
    """What a study's folder holds of its front or ranking.

    That a study runs, and when it stood so, is told on stderr, where no program reads it.
    """
    from kdsearch.render.steps import Steps
    from kdsearch.results.folder import StudyFolder
    from kdsearch.results.front_file import read_summary as read

    console = Console(stderr=True)
    with Steps(console, piped=False) as steps:
        content = read(study, name, steps.show)
    folder = StudyFolder(study)
    if folder.state().get("state") == "running" and folder.runs():
        then = time.strftime("%H:%M:%S", time.localtime(content["written"]))
        console.print(f"the study runs; at {then} it stood so:", highlight=False, style="dim")
    return content
