"""The trainings of a search in an order that is the same at any speed and after any resume."""

from __future__ import annotations

from collections.abc import Mapping

from kdsearch.errors import StudyError
from kdsearch.execution.jobs import Jobs, NoMoreJobs, Stage
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget
from kdsearch.search.clock import FeedbackClock
from kdsearch.search.halving import Halving
from kdsearch.search.proposer import Proposer
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import total_epochs


class ProposedJobs(Jobs):
    """Trials as a sampler proposes them; with a scheduler, the best of each rung go on.

    Each next training is chosen by the outcomes that the :class:`FeedbackClock` says count, no
    others. So which trial happens to end first changes nothing, and a search that was cut off
    chooses again, from the outcomes that were kept, what it had chosen.

    Args:
        spec: The study.
        proposer: Proposes trials.
        finished: Outcomes from before, by place in the order of proposals, also of trials that were
            put aside.
        budget: What may be spent; absent: as the spec says, from now on.

    Attributes:
        spent: Why no more are begun, in words, where not all trials were.
    """

    def __init__(
        self,
        spec: StudySpec,
        proposer: Proposer,
        finished: Mapping[int, TrialRecord],
        budget: Budget | None = None,
    ) -> None:
        self._trials = spec.search.trials
        self._proposer = proposer
        self._budget = budget or Budget(spec)
        self._outcomes = dict(finished)
        for record in finished.values():
            self._budget.count(record.seconds)
        self._halving = Halving(spec.search)
        self._agenda = FeedbackClock(spec.resources.concurrent)
        self._proposed = 0
        self.spent: str | None = None

    def next(self) -> TrialRecord | None:
        while True:
            record = self._choose()
            if record is None or not self._has_outcome(record):
                return record

    def _choose(self) -> TrialRecord | None:
        """The next training, whether or not it was done before; ``None``: an outcome must come."""
        while True:
            for handed_out in self._agenda.due():
                if not self._has_outcome(handed_out):
                    return None
                self._learn(handed_out)
            self.spent = self._budget.out_of_time()
            if self.spent is not None:
                raise NoMoreJobs
            record = self._halving.next_to_go_on(self._budget.room) or self._new()
            if record is None and not self._agenda.skip():
                record = self._with_the_rest()
            if record is not None:
                epochs = self._end_of_stage(record) - len(record.epochs)
                self._agenda.hand_out(record, epochs)
                self._budget.hand_out(epochs)
                return record

    def _new(self) -> TrialRecord | None:
        """The next proposal; ``None`` where there is to be no other."""
        if self._proposed == self._trials or not self._budget.holds_another:
            return None
        place = self._proposed
        self._proposed += 1
        known = self._outcomes.get(place)
        if known is None:
            return self._proposer.record(place)
        if place >= self._proposer.count:
            raise StudyError(
                f"Optuna's journal lacks trial {place}, which has ended; restore the file"
            )
        return _running(known, ())

    def _with_the_rest(self) -> TrialRecord:
        """Who goes on with epochs that are too few for another trial."""
        if self._proposed < self._trials:
            self.spent = self._budget.no_room
            record = self._halving.next_to_go_on(self._budget.room, anyone=True)
            if record is not None:
                return record
        raise NoMoreJobs

    def _learn(self, record: TrialRecord) -> None:
        """Let the outcome of a training that was handed out count."""
        outcome = self._outcomes[record.number]
        end = self._end_of_stage(record)
        self._budget.give_back(max(0, end - len(outcome.epochs)))
        if self._halving.until(record) is None or len(outcome.epochs) < end:
            self._proposer.tell(record.number, outcome)
            return
        stopped = outcome.status == "stopped" and len(outcome.epochs) == end
        aside = _running(outcome, outcome.epochs[:end])
        self._halving.reached(aside, waits=not stopped)
        self._proposer.save_training(record.number)

    def _has_outcome(self, record: TrialRecord) -> bool:
        """Whether it is known how a training that was handed out has come out."""
        outcome = self._outcomes.get(record.number)
        if outcome is None:
            return False
        return outcome.status != "paused" or len(outcome.epochs) >= self._end_of_stage(record)

    def _end_of_stage(self, record: TrialRecord) -> int:
        return self._halving.until(record) or total_epochs(record.task)

    def stage(self, record: TrialRecord) -> Stage:
        return Stage(self._halving.until(record), self._halving.averaged_after(record.task))

    def ended(self, record: TrialRecord) -> None:
        before = self._outcomes.get(record.number)
        self._budget.count(record.seconds - (before.seconds if before else 0.0))
        self._outcomes[record.number] = record

    def stop_waiting(self) -> list[TrialRecord]:
        """The trials that still wait at a rung when the search is over, now stopped."""
        waiting = [each for each in self._outcomes.values() if each.status == "paused"]
        return [each.model_copy(update={"status": "stopped"}) for each in waiting]

    def tell_all(self) -> None:
        """Tell Optuna every outcome that is there."""
        for number, outcome in sorted(self._outcomes.items()):
            if outcome.status != "paused":
                self._proposer.tell(number, outcome)


def _running(outcome: TrialRecord, epochs: tuple[dict[str, float], ...]) -> TrialRecord:
    """A trial as it was after some of its epochs."""
    return outcome.model_copy(update={"status": "running", "epochs": epochs, "reason": None})
