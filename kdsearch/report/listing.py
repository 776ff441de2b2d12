"""The studies below a folder in a line each, from their files alone: no PyTorch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdsearch.errors import StudyError, UserError
from kdsearch.results.folder import TRIALS, StudyFolder
from kdsearch.results.limits import told_size


@dataclass(frozen=True)
class Listed:
    """What is told of one study.

    Attributes:
        name: Its folder's name.
        state: ``finished``, ``running``, ``interrupted``, ``failed``, or ``damaged``.
        trials: How many trials of the search there are, by their status.
        finalists: How many students were judged on the test.
        best: The best of them by the objective on the test: ``score`` with its unit, and ``size``.
        changed: When it was last written to, in seconds since 1970.
        fault: Why it cannot be read, and what to do; empty for a sound one.
    """

    name: str
    state: str
    trials: Mapping[str, int] = field(default_factory=dict)
    finalists: int = 0
    best: Mapping[str, str] = field(default_factory=dict)
    changed: float = 0.0
    fault: str = ""


def studies_below(folder: Path) -> list[Listed]:
    """The studies in a folder, by name; what holds no study is left out.

    Raises:
        UserError: There is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give the one that studies lie in")
    return [
        _listed(path)
        for path in sorted(folder.iterdir())
        if path.is_dir() and StudyFolder(path).exists()
    ]


def _listed(path: Path) -> Listed:
    files = [file for file in (path / "study.json", path / TRIALS) if file.exists()]
    changed = max((file.stat().st_mtime for file in files), default=path.stat().st_mtime)
    try:
        state = StudyFolder(path).state()
        trials = _trials(path / TRIALS)
    except StudyError as error:
        return Listed(path.name, "damaged", changed=changed, fault=str(error))
    judged, best = _front(path / "front.json") if state.get("state") == "finished" else (0, {})
    return Listed(path.name, state.get("state", "begun"), trials, judged, best, changed)


def _trials(file: Path) -> dict[str, int]:
    """Trials of the search by their latest status; a line that a crash tore off does not count.

    Raises:
        StudyError: A whole line is damaged.
    """
    latest: dict[int, str] = {}
    content = file.read_bytes() if file.exists() else b""
    for place, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = json.loads(line)
            if latest.get(record["number"]) != "complete":
                latest[record["number"]] = record["status"]
        except (ValueError, KeyError, TypeError):
            raise StudyError(
                f"line {place} of {file} is damaged; remove it, and --resume trains that trial "
                "again"
            ) from None
    return dict(Counter(latest.values()))


def _front(file: Path) -> tuple[int, dict[str, str]]:
    """How many finalists were judged, and the best; none of a file of an earlier version."""
    try:
        content = json.loads(file.read_text())
        metric = content["metrics"][content["objective"]]
        column, size = f"test_{content['objective']}", content["sizes"][0]
        judged = [row for row in content["front"] if row[column] is not None]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, {}
    if not judged:
        return 0, {}
    choose = max if metric["better"] == "higher" else min
    best = choose(judged, key=lambda row: row[column])
    return len(judged), {
        "score": _told(metric, best[column], best[f"{column}_ci"]),
        "size": told_size(size, best[size]),
    }


def _told(metric: Mapping[str, Any], mean: float, half_width: float | None) -> str:
    """A score with its metric's name: ``accuracy 97.40 ± 1.60 %``."""
    scale, form = (100, ".2f") if metric["share"] else (1, ".3f")
    interval = "" if half_width is None else f" ± {scale * half_width:{form}}"
    return f"{metric['head']} {scale * mean:{form}}{interval} {metric['unit']}".strip()
