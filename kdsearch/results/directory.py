"""The folder of a study: what lies where, and the state that it is in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from kdsearch.errors import SpecError, StudyError
from kdsearch.files import remove_partial, unwritable, vanished, write_atomically
from kdsearch.results.folder import FINALISTS, LOCK, TRIALS, StudyFolder
from kdsearch.results.record import Journal
from kdsearch.results.resume import Inputs, changed
from kdsearch.spec.load import dump_spec, load_spec
from kdsearch.spec.masking import masked_text, masked_values
from kdsearch.spec.study import StudySpec

_IN_STATE = {"id", "data", "checkpoints", "code"}

_PATIENCE = 1.0
"""Seconds for which whoever reads the study may have its lock."""


class StudyDirectory(StudyFolder):
    """Files of one study; no password, token or key of a URI stands in any of them.

    ::

        spec.yaml          the search-space file as given
        resolved.yaml      the same with every default written out and overrides applied
        inputs.json        what the study was made from, as a resume compares it
        study.json         state, phase, times, identity of the run in MLflow
        trials.jsonl       one line for each trial of the search that ended, or came to a rung
        finalists.jsonl    one line for each ended training of a finalist or its baseline
        optuna.journal     a copy of the trials that optuna-dashboard opens
        parents/           weights of the students of a ladder, from which narrower ones were cut
        finalists/         weights of each finalist's trainings
        students/          the finalists as shipped: safetensors and JSON
        exported/          students as ONNX and the like, each with a model card
        front.csv, .json, .png
        report.html        everything on one page for a browser
        figures/           figures for papers, where they were asked for
        tune/              checkpoints of paused and running trials, and Ray Tune's own files
        failures/          tracebacks and crash logs, by phase and number
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.trials = Journal(path / TRIALS)
        self.finalists = Journal(path / FINALISTS)
        self.optuna = path / "optuna.journal"
        self.failures = path / "failures"
        self.parents = path / "parents"
        self.weights = path / "finalists"
        self.students = path / "students"
        self.tune = path / "tune"
        self._spec = path / "spec.yaml"

    @staticmethod
    def of(spec: StudySpec) -> StudyDirectory:
        """The directory that a spec's study has, there or not."""
        return StudyDirectory(spec.study.directory / spec.study.name)

    @staticmethod
    def teachers(spec: StudySpec) -> Path:
        """The folder of trained teachers that the studies of one directory share."""
        return spec.study.directory / ".teachers"

    @staticmethod
    def caches(spec: StudySpec) -> Path:
        """The folder of the teachers' cached signals that the studies of one directory share."""
        return spec.cache.folder or spec.study.directory / ".cache"

    def student(self, trial: int) -> Path:
        """The folder of the student that a finalist ships."""
        return self.students / f"trial-{trial:04d}"

    def exported(self, trial: int) -> Path:
        """The folder of a finalist's files that run without kdsearch."""
        return self.path / "exported" / f"trial-{trial:04d}"

    def lost(self) -> list[str]:
        """Names of the files that a study has and this one lacks, which a resume makes again."""
        files = (self._state, self._inputs, self._resolved)
        return [file.name for file in files if not file.exists()]

    def check(self, spec: StudySpec, resume: bool) -> None:
        """Refuse to mix two studies, or a place where none can be kept.

        Raises:
            StudyError: The name is taken, or its folder cannot be made; or, with ``resume``, there
                is nothing to go on with, or the spec is another one.
        """
        if resume and not self.exists():
            raise StudyError(
                f"there is no study in {self.path} to go on with; run it without --resume"
            )
        if resume:
            change = changed(self.spec(), spec)
            if change:
                raise StudyError(
                    f"the study in {self.path} was made with another {change}; restore that value, "
                    "or start a study of another name"
                )
        else:
            self.check_free(spec.study.name)
            if self.path.exists() and not self._barely_begun():
                raise StudyError(
                    f"{self.path} exists and holds no study; choose another name with "
                    "--set study.name=NAME, or move that away"
                )
        _check_writable(self.path.parent)

    def _barely_begun(self) -> bool:
        """Whether the folder holds only what a study that was cut off at once leaves."""
        if not self.path.is_dir():
            return False
        names = {path.name for path in self.path.iterdir() if path.suffix != ".partial"}
        return LOCK in names and names <= {LOCK, "spec.yaml", self._resolved.name}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the study to this process; the lock goes with the process, however that ends.

        Raises:
            StudyError: Another process is running the study.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(self.path / LOCK).acquire(timeout=_PATIENCE)
        except Timeout:
            raise StudyError(
                f"another process is running the study in {self.path}; wait for it, or end it"
            ) from None
        with lock:
            for folder in (self.path, self.weights, *self.students.glob("*")):
                remove_partial(folder)
            yield

    def create(self, spec: StudySpec, inputs: Inputs | None = None) -> None:
        """Make the folder with the spec and its inputs; a study that exists keeps the rest.

        Passwords in URIs are masked in every file.
        """
        text = masked_text(spec.text) if spec.text else dump_spec(spec)
        write_atomically(self._spec, text.encode())
        write_atomically(self._resolved, dump_spec(spec).encode())
        if inputs is not None:
            values = masked_values(spec.model_dump(mode="json"))
            kept = inputs.model_copy(update={"spec": values})
            write_atomically(self._inputs, kept.model_dump_json(indent=1).encode())
            self.update(**inputs.model_dump(include=_IN_STATE))

    def inputs(self) -> Inputs:
        """What the study was made from.

        Raises:
            StudyError: The files that tell are missing or damaged.
        """
        with suppress(OSError, ValidationError):
            return Inputs.model_validate_json(self._inputs.read_bytes())
        state = self.state() if self._state.exists() else {}
        try:
            return Inputs.model_validate({name: state.get(name) for name in _IN_STATE})
        except ValidationError:
            raise StudyError(
                f"nothing tells from which data the study in {self.path} was made; restore its "
                f"{self._inputs.name} or {self._state.name}, and keep the other files: its trials "
                "are in them"
            ) from None

    def spec(self) -> StudySpec:
        """The resolved spec that the study was made with.

        Raises:
            StudyError: Its file is missing, damaged, or of another version of kdsearch.
        """
        try:
            return load_spec(self._resolved)
        except SpecError as error:
            with suppress(OSError, ValidationError):
                kept = Inputs.model_validate_json(self._inputs.read_bytes()).spec
                return StudySpec.model_validate(kept)
            raise StudyError(
                f"the study in {self.path} cannot be read ({error}); restore its "
                f"{self._resolved.name}"
            ) from error

    def update(self, **facts: Any) -> None:
        """Put facts into ``study.json``, beside those that are there.

        Raises:
            FileNotFoundError: The study's folder has vanished; it is not made again in part.
        """
        if not self._spec.exists():
            raise vanished(self.path)
        known = self.state() if self._state.exists() else {"created": time.time()}
        content = known | facts | {"updated": time.time()}
        write_atomically(self._state, json.dumps(content, indent=1).encode())


def _check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made, or in which nothing can be made."""
    if fault := unwritable(folder):
        raise StudyError(
            f"no study can be kept in {folder}, since {fault}; set study.directory to another "
            "folder"
        )
