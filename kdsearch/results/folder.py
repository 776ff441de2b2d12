"""The folder of a study as anyone can read it, without what can read a training: no PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdsearch.errors import StudyError

TRIALS = "trials.jsonl"
FINALISTS = "finalists.jsonl"
LOCK = ".lock"

_AGAIN = "kdsearch run SPEC --resume makes it again from the study's other files"


class StudyFolder:
    """Whether a study is in a folder, and the state that it is in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = path / "study.json"
        self._inputs = path / "inputs.json"
        self._resolved = path / "resolved.yaml"

    def exists(self) -> bool:
        """Whether a study is there, be it that one of its files was lost."""
        return any(file.exists() for file in (self._state, self._inputs, self.path / TRIALS))

    def check_free(self, name: str) -> None:
        """Refuse a place that a study has.

        Raises:
            StudyError: There is one, which a new one of this name would take for its own.
        """
        if self.exists():
            raise StudyError(
                f"a study named '{name}' exists in {self.path}; go on with it by --resume, or "
                "choose another name with --set study.name=NAME"
            )

    def runs(self) -> bool | None:
        """Whether a process runs the study; ``None`` where another user's lock does not tell."""
        from filelock import FileLock, Timeout

        if not (self.path / LOCK).exists():
            return False
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:  # it is another user's, or on a disk that cannot be written
            return None
        lock.release()
        return False

    def state(self) -> dict[str, Any]:
        """What ``study.json`` says.

        Raises:
            StudyError: There is no study here, or its file is damaged.
        """
        if self.path.is_file():
            raise StudyError(f"{self.path} is a file; give a study's folder")
        try:
            state = json.loads(self._state.read_text())
            if not isinstance(state, dict):
                raise ValueError("it holds no keys")
        except FileNotFoundError:
            if self.exists():
                raise StudyError(f"{self._state} is missing; {_AGAIN}") from None
            raise StudyError(f"there is no study in {self.path}; check the path") from None
        except (OSError, ValueError) as error:
            told = f"{self._state} cannot be read ({error})"
            raise StudyError(f"{told}; restore it, or remove that file: {_AGAIN}") from error
        return state
