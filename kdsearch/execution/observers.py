"""What a study tells those who watch it: the display, MLflow, the user's own code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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

    def study_started(self, study: Study) -> None:
        """The checks have passed and the study's directory is there."""

    def teacher_started(self, name: str, epochs: int) -> None:
        """A teacher's training starts."""

    def teacher_epoch(self, report: dict[str, float]) -> None:
        """The teacher that is in training finished an epoch."""

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        """A teacher is there, trained just now or found from before."""

    def caches_planned(self, caches: Caches) -> None:
        """It is decided what is kept of the teachers' answers."""

    def caches_stored(self, errors: StorageErrors) -> None:
        """The search is over, and it is known what storing answers in less space has changed."""

    def cache_part(self, name: str, done: int, total: int) -> None:
        """Workers have built so many of the parts of a teacher's answers that they build."""

    def phase_started(self, phase: str, total: int, finished: Sequence[TrialRecord]) -> None:
        """``search`` or ``finalists`` starts with so many trainings, some ended before a resume."""

    def trial_started(self, record: TrialRecord) -> None:
        """A training starts."""

    def trial_epoch(self, record: TrialRecord) -> None:
        """A training finished an epoch, the last in ``record.epochs``."""

    def trial_paused(self, record: TrialRecord) -> None:
        """A training is put aside at a rung; it may be started again, or ended."""

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        """The process of a training was lost; it goes on from the epochs of ``record``."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A training is complete, has failed, or is stopped."""

    def budget_spent(self, reason: str) -> None:
        """The search has ended before all its trials, since a budget is spent."""

    def study_finished(self, study: Study) -> None:
        """The report is written."""

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        """The study ends early: ``interrupted`` or ``failed``."""


class Observers(Observer):
    """Passes every event on to several observers.

    Args:
        members: The observers, told in this order.
    """

    def __init__(self, members: Sequence[Observer]) -> None:
        self.members = list(members)

    def study_started(self, study: Study) -> None:
        for member in self.members:
            member.study_started(study)

    def teacher_started(self, name: str, epochs: int) -> None:
        for member in self.members:
            member.teacher_started(name, epochs)

    def teacher_epoch(self, report: dict[str, float]) -> None:
        for member in self.members:
            member.teacher_epoch(report)

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        for member in self.members:
            member.teacher_ready(teacher, trained)

    def caches_planned(self, caches: Caches) -> None:
        for member in self.members:
            member.caches_planned(caches)

    def caches_stored(self, errors: StorageErrors) -> None:
        for member in self.members:
            member.caches_stored(errors)

    def cache_part(self, name: str, done: int, total: int) -> None:
        for member in self.members:
            member.cache_part(name, done, total)

    def phase_started(self, phase: str, total: int, finished: Sequence[TrialRecord]) -> None:
        for member in self.members:
            member.phase_started(phase, total, finished)

    def trial_started(self, record: TrialRecord) -> None:
        for member in self.members:
            member.trial_started(record)

    def trial_epoch(self, record: TrialRecord) -> None:
        for member in self.members:
            member.trial_epoch(record)

    def trial_paused(self, record: TrialRecord) -> None:
        for member in self.members:
            member.trial_paused(record)

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        for member in self.members:
            member.trial_lost(record, reason)

    def trial_ended(self, record: TrialRecord) -> None:
        for member in self.members:
            member.trial_ended(record)

    def budget_spent(self, reason: str) -> None:
        for member in self.members:
            member.budget_spent(reason)

    def study_finished(self, study: Study) -> None:
        for member in self.members:
            member.study_finished(study)

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        for member in self.members:
            member.study_stopped(study, state, reason)
