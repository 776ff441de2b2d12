"""Optuna's journal file, written by one process: a proposal is one write and one fsync."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.storages.journal._storage import JournalOperation

from kdsearch.files import whole_lines

_PROPOSING = (
    JournalOperation.CREATE_TRIAL,
    JournalOperation.SET_TRIAL_PARAM,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
)
"""Steps of a proposal, which count for nothing before it is made."""


def _is_of_a_proposal(log: dict[str, Any]) -> bool:
    """Whether a step can wait for those that follow; a trial with a state was put in line."""
    return log["op_code"] in _PROPOSING and "state" not in log


class SoleWriterJournal(BaseJournalBackend):
    """The file of ``JournalFileBackend`` for a study that one process alone writes to.

    Optuna reads the file again after each step, since others might write to it, and brings each
    step to the disk by itself: a parameter is a step. Here the steps of a proposal are held back
    until one comes that is none, such as the attribute that says that it is made. A process that is
    killed before that has proposed nothing. Others, such as optuna-dashboard, may read the file.

    Args:
        path: The file, made if absent. A line that a crash tore off is removed.
    """

    def __init__(self, path: Path) -> None:
        _remove_torn_line(path)
        self._file = JournalFileBackend(str(path))
        self._unread: list[dict[str, Any]] = list(self._file.read_logs(0))
        self._read = 0
        self._held_back: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The steps from a number on; the one storage over this journal reads each once."""
        assert log_number_from == self._read, "a journal has one reader"
        logs, self._unread = self._unread, []
        self._read += len(logs)
        return logs

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take in steps; all that were held back go to the disk with the first that ends them."""
        self._unread += json.loads(json.dumps(logs))  # as they are when read from the file
        self._held_back += logs
        if not all(_is_of_a_proposal(log) for log in logs):
            self._file.append_logs(self._held_back)
            self._held_back = []


def _remove_torn_line(path: Path) -> None:
    """Optuna would write on behind it, and then refuse the whole file."""
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(whole_lines(file))
