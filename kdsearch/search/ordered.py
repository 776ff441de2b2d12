"""Trainings that are chosen by the outcomes of others, in an order that may be the same at any
speed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable

from kdsearch.execution.jobs import Jobs, NoMoreJobs
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget
from kdsearch.search.clock import ArrivalClock, Clock, FeedbackClock
from kdsearch.search.taking_up import taken_up
from kdsearch.spec.study import StudySpec

CostOf = Callable[[TrialRecord, int], float]
"""What so many further epochs of a trial cost, for the clock."""


class OrderedJobs(Jobs):
    """Hands out trainings, each chosen by the outcomes that a clock says count, no others.

    One that is chosen and was done before is not handed out again: its outcome is there.

    Args:
        spec: The study.
        outcomes: What became of trainings before.
        budget: What may be spent.
        cost_of: Predicts costs for the clock.
        deterministic: Whether the order is the same at any speed.

    Attributes:
        spent: Why no more are begun, in words, where something was left to be done.
        chosen: How often a training was chosen, whether or not it was done before.
    """

    def __init__(
        self,
        spec: StudySpec,
        outcomes: Iterable[TrialRecord],
        budget: Budget,
        cost_of: CostOf,
        deterministic: bool,
    ) -> None:
        self._budget, self._cost_of = budget, cost_of
        self._outcomes = {record.number: taken_up(spec, record) for record in outcomes}
        self._budget.count(sum(record.seconds for record in self._outcomes.values()))
        self._clock: Clock = ArrivalClock(self._is_out)
        if deterministic:
            self._clock = FeedbackClock(spec.resources.concurrent)
        self._counted: dict[int, TrialRecord] = {}
        self.spent: str | None = None
        self.chosen = 0

    def next(self) -> TrialRecord | None:
        while True:
            record = self._choose()
            if record is None or not self._is_out(record):
                return record and self._where_it_is(record)

    def _choose(self) -> TrialRecord | None:
        """The next training, whether or not it was done before; ``None``: an outcome must come."""
        while True:
            # first: the outcome that is due may be one of a training that hangs
            self.spent = self._budget.out_of_time()
            if self.spent is not None:
                raise NoMoreJobs
            for handed_out in self._clock.due():
                if not self._is_out(handed_out):
                    return None
                outcome, end = self._outcomes[handed_out.number], self._end_of_stage(handed_out)
                self._budget.hand_out(min(0, len(outcome.epochs) - end))
                self._learn(handed_out)
                self._counted[handed_out.number] = self._as_it_counts(handed_out)
            record = self._pick()
            if record is None and not self._clock.skip():
                record = self._with_the_rest()
            if record is not None:
                epochs = self._end_of_stage(record) - len(record.epochs)
                self._clock.hand_out(record, self._cost_of(record, epochs))
                self._budget.hand_out(epochs)
                self.chosen += 1
                return record

    @abstractmethod
    def _pick(self) -> TrialRecord | None:
        """The next training by what has counted so far; ``None``: none before more counts."""

    def _with_the_rest(self) -> TrialRecord:
        """The next training where nothing is left to be waited for.

        Raises:
            NoMoreJobs: There is none.
        """
        raise NoMoreJobs

    @abstractmethod
    def _learn(self, record: TrialRecord) -> None:
        """Let the outcome of a training that was handed out count."""

    @abstractmethod
    def _end_of_stage(self, record: TrialRecord) -> int:
        """The epochs to which a training goes before it is looked at."""

    def _is_out(self, record: TrialRecord) -> bool:
        """Whether it is known how a training that was handed out has come out."""
        outcome = self._outcomes.get(record.number)
        return outcome is not None and outcome.has_come_to(self._end_of_stage(record))

    def _as_it_counts(self, record: TrialRecord) -> TrialRecord:
        """The outcome of a training that was handed out, as it was at the end of its stage."""
        outcome, end = self._outcomes[record.number], self._end_of_stage(record)
        over = outcome.over and len(outcome.epochs) <= end
        return outcome if over else after(outcome, end)

    @property
    def counted(self) -> list[TrialRecord]:
        """What has become of trainings as far as it counts, by number."""
        return [self._counted[number] for number in sorted(self._counted)]

    def _where_it_is(self, record: TrialRecord) -> TrialRecord:
        """A training that is handed out, with the epochs that it did before it was cut off."""
        known = self._outcomes.get(record.number, record)
        return after(known, max(len(known.epochs), len(record.epochs)))

    def ended(self, record: TrialRecord) -> None:
        before = self._outcomes.get(record.number)
        self._budget.count(record.seconds - (before.seconds if before else 0.0))
        self._outcomes[record.number] = record


def after(outcome: TrialRecord, epochs: int) -> TrialRecord:
    """A trial as it was after so many of its epochs."""
    epochs_then = outcome.epochs[:epochs]
    return outcome.model_copy(update={"status": "running", "epochs": epochs_then, "reason": None})
