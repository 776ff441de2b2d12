"""The kinds of single value in a search-space file, stricter than pydantic's own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict
from pydantic_core import PydanticKnownError

from kdsearch.spec.wording import brief, instead


def _no_text(value: Any) -> Any:
    """Refuse what pydantic would turn into a whole number: ``true`` as 1, ``"8"`` as 8."""
    if isinstance(value, bool | str):
        raise PydanticKnownError("int_type")
    return value


def listed(value: Any) -> Any:
    """A text as the one entry of a list; anything else as it is."""
    return [value] if isinstance(value, str) else value


def each_once(what: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """A check that no entry of a list of ``what`` is there twice."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"give each {what} once")
        return names

    return check


def at_home(path: Path) -> Path:
    """A path with ``~`` resolved."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(
            f"there is no home folder {brief(path.parts[0])}; write the path out"
        ) from None


def _colour(value: Any) -> Any:
    """A colour as it is written in lower case; every other value is refused."""
    form = 'write a name such as white, or "#rrggbb" in quotes (a bare # begins a comment)'
    if not isinstance(value, str):
        raise ValueError(f"must be a colour{instead(value)}; {form}")
    from PIL import ImageColor

    colour = value.strip().lower()
    if colour not in ImageColor.colormap and not re.fullmatch(r"#([0-9a-f]{3}){1,2}", colour):
        near = f"; did you mean '#{colour}'" if re.fullmatch(r"[0-9a-f]{6}", colour) else ""
        raise ValueError(f"'{brief(value)}' is no colour{near}; {form}")
    return colour


def _finite(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse numbers that are not finite, which the study's files could not hold."""
    for name, value in options.items():
        inner = [value]
        while inner:
            found = inner.pop()
            if isinstance(found, float) and not math.isfinite(found):
                raise ValueError(f"{brief(name)} must hold finite numbers{instead(found)}")
            inner += found.values() if isinstance(found, dict) else ()
            inner += found if isinstance(found, list) else ()
    return options


Whole = Annotated[int, BeforeValidator(_no_text)]
"""A whole number, written as ``1000`` or ``1e3``; neither ``true`` nor quoted text."""

Number = Annotated[float, Strict()]
"""A number; neither ``true`` nor quoted text."""

Flag = Annotated[bool, Strict()]
"""``true`` or ``false``; neither a number nor quoted text."""

Options = Annotated[dict[str, Any], AfterValidator(_finite)]
"""Values of the user's own, by name."""

UserPath = Annotated[Path, AfterValidator(at_home)]
"""A path, with ``~`` resolved."""

Colour = Annotated[str, BeforeValidator(_colour)]
"""A colour's name, or ``#rgb`` or ``#rrggbb``."""
