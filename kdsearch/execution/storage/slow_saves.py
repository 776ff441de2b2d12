"""Checkpoints that take long: told, so that nobody wonders why a study stands still."""

from __future__ import annotations

import time
from collections.abc import Callable

SLOW = 30.0
"""Seconds after which a checkpoint that is on its way is told of."""


class SlowSaves:
    """Notes when trainings begin to be saved.

    Args:
        warn: Told once in a row of slow checkpoints.
        storage: Where they go, as it may be shown.
        patience: Seconds for which a storage that does not answer is waited for.
    """

    def __init__(self, warn: Callable[[str], None], storage: str, patience: float) -> None:
        self._warn, self._storage, self._patience = warn, storage, patience
        self._since: dict[int, float] = {}
        self._told = False

    def begin(self, number: int) -> None:
        """A training is being saved."""
        self._since[number] = time.monotonic()

    def end(self, number: int) -> None:
        """It is saved, or was lost."""
        if self._since.pop(number, None) is not None and not self._since:
            self._told = False

    def check(self) -> None:
        """Tell of what takes long."""
        now = time.monotonic()
        late = [number for number, since in self._since.items() if now - since > SLOW]
        if late and not self._told:
            self._told = True
            self._warn(
                f"trial {late[0]} has been on its way to {self._storage} for {SLOW:g} s; a storage "
                f"that does not answer is waited for, up to {self._patience / 60:g} minutes"
            )
