"""What a search may spend beside its number of trials."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from kdsearch.results.cost import trial_lengths
from kdsearch.spec.study import StudySpec


def whole_budget(spec: StudySpec) -> int:
    """Epochs that a search by ``ladder`` takes at most."""
    most = spec.search.trials * spec.training.epochs
    return min(most, spec.search.max_epochs or most)


class Budget:
    """What a search may spend: epochs, wall clock, device-hours, whichever ends first.

    Args:
        spec: The study.
        seconds: Wall clock that the search took before a resume.
        keep: Takes the wall clock so far, whenever a trial ends, if it is limited.
        longest: Epochs of the longest trial; absent: as the spec says.

    Attributes:
        longest: The same.
        limit: Epochs that may be handed out in all, which can be changed.
    """

    def __init__(
        self,
        spec: StudySpec,
        seconds: float = 0.0,
        keep: Callable[[float], None] | None = None,
        longest: int | None = None,
    ) -> None:
        self._search = spec.search
        self._keep = keep if spec.search.max_hours is not None else None
        self._seconds = 0.0
        self._devices = spec.resources.devices_per_trial
        self._begun = time.monotonic() - seconds
        self.longest = longest or max(trial_lengths(spec))
        self._epochs = 0
        self.limit: float = math.inf if spec.search.max_epochs is None else spec.search.max_epochs

    @property
    def seconds(self) -> float:
        """Wall clock that the search has taken so far."""
        return time.monotonic() - self._begun

    def count(self, seconds: float) -> None:
        """Count the time of a training that has ended or pauses."""
        self._seconds += seconds
        if self._keep is not None:
            self._keep(self.seconds)

    def out_of_time(self) -> str | None:
        """Which of the limits of time is spent, in words; ``None`` while none is."""
        hours, device_hours = self._search.max_hours, self._search.max_device_hours
        if hours is not None and self.seconds >= 3600 * hours:
            return f"search.max_hours ({hours:g}) are spent"
        if device_hours is not None and self._seconds * self._devices >= 3600 * device_hours:
            return f"search.max_device_hours ({device_hours:g}) are spent"
        return None

    def hand_out(self, epochs: int) -> None:
        """Count the epochs of a training that is handed out; below 0: those it did not train."""
        self._epochs += epochs

    @property
    def room(self) -> float:
        """Epochs that are left."""
        return self.limit - self._epochs

    @property
    def spent(self) -> int:
        """Epochs that were handed out."""
        return self._epochs

    @property
    def holds_another(self) -> bool:
        """Whether the epochs that are left are enough for the longest trial."""
        return self.room >= self.longest

    @property
    def no_room(self) -> str:
        """That they are not, in words."""
        return f"search.max_epochs ({self._search.max_epochs}) leave no room for another trial"
