"""``study``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import UserPath, Whole


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"must be letters, digits, '_', '.' and '-' that start with a letter or digit, not "
            f"{name!r}"
        )
    return name


class Identity(Section):
    """``study``: its name, its seed and where it is kept."""

    name: Annotated[str, AfterValidator(_file_name)] = Field(max_length=80)
    """Name of the study and of its directory: letters, digits, ``_``, ``.`` and ``-``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the study, from which all its random numbers follow."""
    directory: UserPath = Path("studies")
    """Folder that holds the studies and the trained teachers."""
