"""The tables of a study as its folder holds them, as long as they are of what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kdsearch.files import checksum
from kdsearch.results.folder import FINALISTS, TRIALS, StudyFolder

FORMAT = 1
"""Of what stands in the files beside the rows."""

_FILES = (TRIALS, FINALISTS, "resolved.yaml")
_FACTS = ("teachers", "compared", "latencies", "data", "worst_losses")
"""What tables tell beside the journals and the spec, of ``study.json``."""


def made_from(path: Path) -> dict[str, Any]:
    """What the tables of the study in a folder are made from: versions and checksums."""
    state = StudyFolder(path).state()
    facts = json.dumps({name: state.get(name) for name in _FACTS}, sort_keys=True)
    return {
        "kdsearch": version("kdsearch"),
        "format": FORMAT,
        "study.json": hashlib.sha256(facts.encode()).hexdigest(),
        **{name: checksum(path / name) for name in _FILES if (path / name).exists()},
    }


def written_summary(path: Path, name: str) -> Mapping[str, Any] | None:
    """What ``NAME.json`` in a study's folder holds; ``None`` unless it is of all that is there.

    It is not where the study has gone on since, or another version of kdsearch wrote it.

    Args:
        path: The study's folder.
        name: ``front`` or ``ranking``.

    Raises:
        StudyError: There is no study here, or its ``study.json`` is damaged.
    """
    known = made_from(path)
    with suppress(OSError, ValueError):
        found = json.loads((path / f"{name}.json").read_bytes())
        if isinstance(found, dict) and found.get("made_from") == known:
            return found
    return None
