"""What a study tells those who watch it: the display, MLflow, the user's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kdsearch.errors import described
from kdsearch.results.record import TrialRecord

if TYPE_CHECKING:
    from kdsearch.results.study import Study
    from kdsearch.teacher_cache.contents import Caches, StorageErrors
    from kdsearch.training.teacher_store import StoredTeacher


class Observer:
    """Base of the watchers of a study; each method does nothing until overridden.

    The calls come from the process that runs the study; ``teacher_epoch`` may come from another
    thread. An observer must not block: the search waits for it.
    """

    def preparing(self, step: str) -> None:
        """A step begins before the study's directory is there, such as loading the data."""

    def study_started(self, study: Study) -> None:
        """The checks have passed and the study's directory is there."""

    def teacher_started(self, name: str, epochs: int) -> None:
        """A teacher's training starts."""

    def teacher_epoch(self, report: dict[str, float]) -> None:
        """The teacher that is in training finished an epoch."""

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        """A teacher is there, trained just now or found from before."""

    def caches_planned(self, caches: Caches) -> None:
        """It is decided which teacher signals are cached."""

    def caches_stored(self, errors: StorageErrors) -> None:
        """The search is over; ``errors`` says how far cached signals are from computed ones."""

    def cache_part(self, name: str, done: int, total: int) -> None:
        """Workers have built so many of the parts of a teacher's cache that they build."""

    def phase_started(
        self,
        phase: str,
        total: int | None,
        finished: Sequence[TrialRecord],
        epochs: float | None = None,
    ) -> None:
        """``search`` or ``finalists`` starts with so many trainings, some ended before a resume.

        How many a ladder has, ``None`` of them, its outcomes decide. ``epochs`` are expected of all
        of them together, where that is known.
        """

    def trial_started(self, record: TrialRecord) -> None:
        """A training starts."""

    def trial_epoch(self, record: TrialRecord) -> None:
        """A training finished an epoch, the last in ``record.epochs``."""

    def trial_paused(self, record: TrialRecord) -> None:
        """A training is paused at a rung; it may be resumed, or ended."""

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        """The process of a training was lost; it goes on from the epochs of ``record``."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A training is complete, has failed, or is stopped."""

    def warned(self, message: str) -> None:
        """Something the user should know; the study goes on."""

    def budget_spent(self, reason: str) -> None:
        """The search has ended before all its trials, since a budget is spent."""

    def study_finished(self, study: Study) -> None:
        """The report is written."""

    def stopping(self) -> None:
        """A signal ends the study, which takes some seconds; called where the signal is handled."""

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        """The study ends early: ``interrupted`` or ``failed``."""


class Observers(Observer):
    """Passes every event on to several observers.

    An error that one of them raises reaches the caller when the others have been told too.

    Args:
        members: The observers, told in this order.
    """

    def __init__(self, members: Sequence[Observer]) -> None:
        self.members = list(members)


def _to_all(event: str) -> Callable[..., None]:
    def tell(self: Observers, *details: Any, **named: Any) -> None:
        errors = []
        for member in self.members:
            try:
                getattr(member, event)(*details, **named)
            except Exception as error:
                errors.append(error)
        for other in errors[1:]:
            errors[0].add_note(f"another observer failed too: {described(other)}")
        if errors:
            raise errors[0]

    return tell


for _event in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(Observers, _event, _to_all(_event))
