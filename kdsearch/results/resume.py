"""What a resumed study may change, and what must be as it was at the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdsearch.errors import StudyError
from kdsearch.spec.base import Section
from kdsearch.spec.masking import masked_values
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import teacher_path

FREE_TO_CHANGE = (
    "study.directory",
    "resources",
    "tracking",
    "data.root",
    "data.table.file",
    "data.unlabelled",
    "target.root",
    "target.table.file",
    "target.unlabelled",
    "search.trials",
    "search.max_epochs",
    "search.max_hours",
    "search.max_device_hours",
    "finalists",
    "cache.disk_gb",
    "cache.folder",
    "cache.workers",
    "cache.ahead",
)
"""Parts of a spec that a resumed study may change without becoming another study."""

_CHECKPOINT = re.compile(
    r"(teacher|teachers\.[^.]+)\.(checkpoint|model\.weights\.source)|students\.\d+\.weights\.source"
)


class DataFacts(Section):
    """The data set of a study."""

    name: str
    """What the spec calls its source."""
    fingerprint: str
    """SHA-256 over every byte of it."""
    train: int
    """Samples of its training split."""
    validation: int
    """Samples of its validation split."""
    inputs: dict[str, tuple[int, ...]]
    """Shape of each input of a sample, by name."""


class Inputs(Section):
    """What a study was made from: kept from its start, and read again when it is resumed."""

    id: str
    """Tells the study apart from every other, in MLflow too."""
    data: DataFacts
    """The data set."""
    checkpoints: dict[str, str]
    """Checksum of each teacher's checkpoint that was given, by the teacher's name, and of initial
    weights, by their setting."""
    code: dict[str, str] | None = None
    """Digest of the files of each network and method of the user's own, by its name in the spec;
    absent: not known."""
    past: list[dict[str, Any]] | None = None
    """What the studies of ``search.warm_start`` gave to try first; absent: not known."""
    chains: list[dict[str, Any]] | None = None
    """The chains of sizes of a ladder, which a limit of latency measured anew would change; absent:
    not known."""
    spec: dict[str, Any] | None = None
    """The resolved spec; absent: not known."""

    def check(self, now: Inputs, study: Path, retry_failed: bool = False) -> None:
        """Refuse to go on with data, checkpoints or code that are not those of the study's start.

        Args:
            now: What there is now.
            study: The study's folder.
            retry_failed: Whether what has failed is trained again; then code may be fixed.

        Raises:
            StudyError: One of them has changed.
        """
        before, after = self.data.fingerprint, now.data.fingerprint
        if before != after:
            raise StudyError(
                f"the study in {study} was made from other data (fingerprint {before[:12]}, now "
                f"{after[:12]}); restore the data set, or start a study of another name"
            )
        for name, checksum in self.checkpoints.items():
            if now.checkpoints.get(name, checksum) != checksum:
                initial = name.endswith(".weights")
                setting = name if initial else ".".join((*teacher_path(name), "checkpoint"))
                other = "other weights of" if initial else "another file of"
                raise StudyError(
                    f"the study in {study} was made with {other} {setting} (checksum {checksum}, "
                    f"now {now.checkpoints[name]}); restore those of before, or start a study of "
                    "another name"
                )
        if not retry_failed:
            self._check_code(now, study)

    def _check_code(self, now: Inputs, study: Path) -> None:
        current = now.code or {}
        for name, digest in (self.code or {}).items():
            if current.get(name, digest) != digest:
                raise StudyError(
                    f"the study in {study} was made with other code of {name}, or of a module of "
                    "yours that it imports; restore that code, or start a study of another name, "
                    "or, if you fixed what has failed, give --retry-failed too"
                )


def check_retry(resume: bool, retry_failed: bool) -> None:
    """Refuse to train again what has failed in a study that is only to begin.

    Raises:
        StudyError: It is not resumed.
    """
    if retry_failed and not resume:
        raise StudyError(
            "--retry-failed trains again what has failed in a study that is resumed; give "
            "--resume too"
        )


def changed(old: StudySpec, new: StudySpec) -> str | None:
    """The first value that differs where a resumed study must not, with both values.

    Passwords in URIs may be others: a study does not keep them.

    Data, checkpoints and initial weights may lie elsewhere; that they are the same,
    :meth:`Inputs.check` tells.
    """
    before, after = (_flat(masked_values(each.model_dump(mode="json"))) for each in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if any(name == part or name.startswith(f"{part}.") for part in FREE_TO_CHANGE):
            continue
        was, now = before.get(name), after.get(name)
        moved = _CHECKPOINT.fullmatch(name) and None not in (was, now)
        if was != now and not moved:
            return f"{name} ({was}, now {now})"
    return None


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return found
