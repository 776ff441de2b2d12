"""What a search may spend beside its number of trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum

from kdsearch.search.record import TrialRecord
from kdsearch.spec.study import StudySpec
from kdsearch.training.courses import epochs_with_forebears


class Room(Enum):
    """Whether the epochs that are left are enough for one more trial."""

    ENOUGH = "enough"
    NONE = "none"
    UNKNOWN = "not before more trials have ended"


class Budget:
    """What a search may spend: epochs, wall clock, device-hours, whichever ends first.

    Args:
        spec: The study.
        seconds: Wall clock that the search took before a resume.
        keep: Takes the wall clock so far, whenever a trial ends, if it is limited.
    """

    def __init__(
        self,
        spec: StudySpec,
        seconds: float = 0.0,
        keep: Callable[[float], None] | None = None,
    ) -> None:
        self._search = spec.search
        self._keep = keep if spec.search.max_hours is not None else None
        self._seconds = 0.0
        self._devices = spec.resources.gpus_per_trial or spec.resources.cpus_per_trial
        self._begun = time.monotonic() - seconds
        self._longest = longest_trial(spec)

    @property
    def seconds(self) -> float:
        """Wall clock that the search has taken so far."""
        return time.monotonic() - self._begun

    def take_in(self, record: TrialRecord) -> None:
        """Count an ended trial."""
        self._seconds += record.seconds
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

    def room(self, place: int, known: int, outcomes: Mapping[int, TrialRecord]) -> Room:
        """Whether the epochs suffice for one more trial, decided alike at any speed.

        Of trials that may still run the longest is supposed. Only where that leaves the question
        open, the trials before must end.

        Args:
            place: The number of the trial that would be proposed.
            known: So many of the first trials have ended whenever this is asked.
            outcomes: Ended trials by number.
        """
        limit = self._search.max_epochs
        if limit is None:
            return Room.ENOUGH
        known = max(0, known)
        spent = sum(len(outcomes[number].epochs) for number in range(known))
        if spent + (place - known + 1) * self._longest <= limit:
            return Room.ENOUGH
        if any(number not in outcomes for number in range(known, place)):
            return Room.UNKNOWN
        spent += sum(len(outcomes[number].epochs) for number in range(known, place))
        return Room.ENOUGH if spent + self._longest <= limit else Room.NONE


def longest_trial(spec: StudySpec) -> int:
    """Epochs of the longest trial that a study may propose."""
    epochs, generations = spec.training.epochs, spec.teaching.generations
    return max(epochs_with_forebears(epochs, name, generations) for name in spec.taught_by)
