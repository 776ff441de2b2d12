"""A printed view read back: whole lines, words, and the rows of a table."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.console import Console, RenderableType


def shown(view: RenderableType, width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(view, markup=False)
    lines = file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    return "\n".join(line.rstrip() for line in lines)


def words(text: str) -> str:
    """The text as if a line never ended."""
    return " ".join(text.split())


def is_row(line: str, name: str) -> bool:
    return line.split()[:1] == [name] and not line.endswith(" methods")


def block(text: str, name: str) -> str:
    """The lines of a row, from the one that begins with its name to the next row."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if is_row(line, name))
    end = start + 1
    while end < len(lines) and lines[end].startswith("   "):
        end += 1
    return "\n".join(lines[start:end])
