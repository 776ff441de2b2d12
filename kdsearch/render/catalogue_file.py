"""The file that holds what kdsearch offers, so that it is listed without PyTorch."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("catalogue.json")


@cache
def kept() -> dict[str, Any]:
    """What :func:`kdsearch.render.offered.offered` wrote."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
