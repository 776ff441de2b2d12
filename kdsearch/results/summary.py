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

FORMAT = 2
"""Of what stands in the files beside the rows."""

_SPEC = "resolved.yaml"
_FILES = (TRIALS, FINALISTS, _SPEC)
_FACTS = ("teachers", "compared", "latencies", "data", "worst_losses")
"""What tables tell beside the journals and the spec, of ``study.json``."""

_LASTING = ("kdsearch", "format", _SPEC)
"""What stays as it is while a study runs."""


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

    It is not where the study has gone on since, or another version of kdsearch wrote it. While a
    study runs, it is what its process wrote last (:mod:`kdsearch.export.keeping`), and ``written``
    tells when, in seconds since 1970.

    Args:
        path: The study's folder.
        name: ``front`` or ``ranking``.

    Raises:
        StudyError: There is no study here, or its ``study.json`` is damaged.
    """
    known = made_from(path)
    with suppress(OSError, ValueError):
        found = json.loads((path / f"{name}.json").read_bytes())
        made = found.get("made_from") if isinstance(found, dict) else None
        if made == known or (made and _lasts(made, known) and _may_run(StudyFolder(path))):
            return dict(found)
    return None


def _may_run(study: StudyFolder) -> bool:
    """Whether the study's own process may be there; readers have its lock for moments too."""
    return study.state().get("state") == "running" and study.runs() is not False


def _lasts(made: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    return all(made.get(name) == known.get(name) for name in _LASTING)
