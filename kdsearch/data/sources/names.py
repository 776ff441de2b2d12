"""Names of files and folders as they can be printed, whatever their bytes are."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path


def printable(name: str) -> str:
    """A name with bytes that are not UTF-8, and characters that cannot be shown, escaped.

    Letters with accents have one form, so that a folder copied from a Mac keeps its name.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return unicodedata.normalize("NFC", shown)


def shown_path(path: Path) -> str:
    """A path as messages show it."""
    return printable(str(path))


def distinct(names: Sequence[str]) -> list[str]:
    """Printable names, one for each, no two alike: later ones of the same form get a number."""
    taken: set[str] = set()
    found = []
    for name in names:
        one = plain = printable(name)
        number = 2
        while one in taken:
            one, number = f"{plain} ({number})", number + 1
        taken.add(one)
        found.append(one)
    return found
