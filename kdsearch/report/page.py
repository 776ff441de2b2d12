"""The page of a study: one file that holds its data, its scripts and plotly.js, and no address."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from kdsearch.errors import UserError
from kdsearch.files import unwritable, write_atomically
from kdsearch.report.content import content
from kdsearch.results.study import Study

PAGE = "report.html"
"""Its name."""

SCRIPTS = (
    "words.js",
    "scale.js",
    "front.js",
    "tables.js",
    "summaries.js",
    "parallel.js",
    "curves.js",
    "response.js",
    "page.js",
)
"""In the order in which they stand in the page; the last one begins."""


def write_page(study: Study, folder: Path | None = None, ended: bool = False) -> Path:
    """Write ``report.html``, the page of a study as far as it has come.

    Args:
        study: The study.
        folder: Where; absent, the study's folder.
        ended: Whether the study's own run writes it as its last step.

    Returns:
        The file.
    """
    path = (folder or study.directory.path) / PAGE
    write_atomically(path, page(content(study, ended)).encode())
    return path


def writable(folder: Path) -> Path:
    """The folder, if files can be written there.

    Raises:
        UserError: They cannot.
    """
    if fault := unwritable(folder):
        raise UserError(f"nothing can be written, since {fault}; give another folder by --to")
    return folder


def page(shown: dict[str, Any]) -> str:
    """The page of a study's :func:`~kdsearch.report.content.content`.

    It needs no network. plotly.js, 4.8 MB, is most of it.
    """
    parts = {
        "title": html.escape(f"{shown['study']['name']} · kdsearch"),
        "style": _asset("page.css"),
        "plotly": get_plotlyjs(),
        # no text of the data may end the element that it stands in
        "data": json.dumps(shown, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        "script": "\n".join(map(_asset, SCRIPTS)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files("kdsearch.report") / "assets" / name).read_text(encoding="utf-8")
