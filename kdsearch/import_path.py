"""Where modules are looked for: in the current directory after the standard library.

A user's own parts lie beside the search-space file, and so may a ``statistics.py`` that Python's
own modules, PyTorch and Ray would import in place of the standard library's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LIBRARY = os.path.dirname(os.__file__)
_STANDARD = (_LIBRARY, os.path.join(_LIBRARY, "lib-dynload"))


def current_directory_behind() -> None:
    """Look through the current directory behind the standard library, if it is looked through.

    ``python -m`` puts it first, and so does Ray in its workers.
    """
    current = _current()
    here = {"", current}
    if current and not here.isdisjoint(sys.path):
        sys.path[:] = [place for place in sys.path if place not in here]
        sys.path.insert(_behind(), current)


@contextmanager
def current_directory_searched() -> Iterator[None]:
    """Let imports look into the current directory, before they look among installed packages."""
    current = _current()
    if not current or current in sys.path:
        yield
        return
    sys.path.insert(_behind(), current)
    try:
        yield
    finally:
        sys.path.remove(current)


def _current() -> str | None:
    """The current directory, unless it was removed."""
    with suppress(FileNotFoundError):
        return os.getcwd()
    return None


def _behind() -> int:
    """The place behind the standard library on ``sys.path``."""
    found = [number for number, place in enumerate(sys.path) if place in _STANDARD]
    return max(found, default=-1) + 1
