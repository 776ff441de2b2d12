"""Terminals and pipes that take no Unicode, or no more of the output at all."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_PLAIN = {
    "×": "x",
    "·": ".",
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "½": "1/2",
    "⅓": "1/3",
    "²": "^2",
    "√": "sqrt",
    "─": "-",
    "│": "|",
    "├": "+",
    "└": "+",
}


def print_what_can_be_printed() -> None:
    """Print × as x, and so on, to where the encoding has no such letter."""
    codecs.register_error("kdsearch.plain", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="kdsearch.plain")


def pipe_closed(left: SystemExit) -> bool:
    """Whether the program ends since nobody reads its output any more, as behind ``| head``."""
    return isinstance(left.__context__, BrokenPipeError)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(letter: str) -> str:
    """A letter in ASCII: as it is read, else without its accents, else by its number."""
    if letter in _PLAIN:
        return _PLAIN[letter]
    if unicodedata.name(letter, "").startswith("GREEK"):
        return unicodedata.name(letter).rpartition(" ")[2].lower()
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return bare or letter.encode("ascii", "backslashreplace").decode()
