"""The kinds of single value in a search-space file, stricter than pydantic's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict
from pydantic_core import PydanticKnownError


def _no_text(value: Any) -> Any:
    """Refuse what pydantic would turn into a whole number: ``true`` as 1, ``"8"`` as 8."""
    if isinstance(value, bool | str):
        raise PydanticKnownError("int_type")
    return value


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder {path.parts[0]}; write the path out") from None


Whole = Annotated[int, BeforeValidator(_no_text)]
"""A whole number, written as ``1000`` or ``1e3``; neither ``true`` nor quoted text."""

Number = Annotated[float, Strict()]
"""A number; neither ``true`` nor quoted text."""

Flag = Annotated[bool, Strict()]
"""``true`` or ``false``; neither a number nor quoted text."""

UserPath = Annotated[Path, AfterValidator(_at_home)]
"""A path, with ``~`` resolved."""
