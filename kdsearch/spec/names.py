"""The nearest valid name, for messages about a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 24
"""A message lists at most so many valid names."""

NEAREST = 8
"""Of a longer list it names so many, those most like the wrong name."""


def together(names: Iterable[str]) -> str:
    """Names in a sentence: ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def suggest(wrong: str, valid: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for a near miss, else the list of valid names.

    Upper and lower case count as alike. Of more than :data:`LISTED` names the nearest
    :data:`NEAREST` are listed.
    """
    names = {name.lower(): name for name in sorted(valid, reverse=True)}
    if not names:
        return "nothing is valid here, remove it"
    near = difflib.get_close_matches(wrong.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{names[near[0]]}'?"
    if len(names) <= LISTED:
        return f"valid: {', '.join(sorted(names.values()))}"
    nearest = difflib.get_close_matches(wrong.lower(), names, n=NEAREST, cutoff=0.0)
    listed = ", ".join(sorted(names[name] for name in nearest))
    return f"the nearest of {len(names)} valid names: {listed}"
