"""The trainings of a search: in an order that is the same at any speed, or as outcomes come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kdsearch.execution.jobs import NoMoreJobs, RungStage
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget
from kdsearch.search.halving import Halving
from kdsearch.search.ordered import CostOf, OrderedJobs, after
from kdsearch.search.proposer import Proposer
from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import total_epochs


class ProposedJobs(OrderedJobs):
    """Trials as a sampler proposes them; with a scheduler, the best of each rung go on.

    In the deterministic order each next training is chosen by the outcomes that the
    :class:`FeedbackClock` says count, no others. So which trial happens to end first changes
    nothing, and a search that was cut off chooses again, from the outcomes that were kept, what it
    had chosen. Otherwise every outcome counts as soon as it is there and nothing is waited for;
    a search that was cut off goes on from where its trials are.

    Args:
        spec: The study.
        proposer: Proposes trials, and knows those of before.
        finished: What became of trials before, by place in the order of proposals. One that was cut
            off (``running``) goes on from its epochs; one that was ``stopped`` at a rung waits
            there again.
        budget: What may be spent; absent: as the spec says, from now on.
        cost_of: What so many further epochs of a trial cost, for the clock; absent: one each.
        deterministic: Whether the order is the same at any speed.
        history: All that the journal says of the trials, in its order; absent: ``finished``.

    Attributes:
        spent: Why no more are begun, in words, where not all trials were.
    """

    def __init__(
        self,
        spec: StudySpec,
        proposer: Proposer,
        finished: Mapping[int, TrialRecord],
        budget: Budget | None = None,
        cost_of: CostOf = lambda _, epochs: epochs,
        deterministic: bool = True,
        history: Iterable[TrialRecord] | None = None,
    ) -> None:
        super().__init__(spec, finished.values(), budget or Budget(spec), cost_of, deterministic)
        self._trials = spec.search.trials
        self._proposer = proposer
        self._halving = Halving(spec)
        self._proposed = 0
        self._cut_off: list[TrialRecord] = []
        if not deterministic:
            self._take_up(finished.values() if history is None else history)

    def _pick(self) -> TrialRecord | None:
        return self._of_those_begun() or self._new()

    def _of_those_begun(self) -> TrialRecord | None:
        if self._cut_off:
            return self._cut_off.pop(0)
        return self._halving.next_to_go_on(self._budget.room)

    def _new(self) -> TrialRecord | None:
        """The next proposal; ``None`` where there is to be no other."""
        if self._proposed == self._trials or not self._budget.holds_another:
            return None
        self._proposed += 1
        return self._proposer.record(self._proposed - 1)

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
        if self._halving.until(record) is None or len(outcome.epochs) < end:
            self._proposer.tell(record.number, outcome)
        else:
            self._halving.reached(after(outcome, end))

    def _take_up(self, history: Iterable[TrialRecord]) -> None:
        """Bring sampler and rungs to where the known trials are; those that were cut off go on.

        The sampler is asked and told in the order of before, by which NSGA-II has its generations.
        """
        begun: list[TrialRecord] = []
        ends = {number: each for number, each in self._outcomes.items() if each.over}
        for record in history:
            while len(begun) <= record.number:
                begun.append(self._proposer.record(len(begun)))
            if record == ends.get(record.number):
                self._proposer.tell(record.number, ends.pop(record.number))
        self._proposed = len(begun)
        self._counted |= self._outcomes
        for record in begun:
            outcome = self._outcomes.get(record.number, record)
            done = len(outcome.epochs)
            self._budget.hand_out(done)
            rungs = [rung for rung in self._halving.rungs(outcome.task) if rung <= done]
            goes_on = not outcome.over
            for rung in rungs:
                self._halving.reached(after(outcome, rung), goes_on and rung == done)
            if goes_on and done not in rungs:
                self._cut_off.append(after(outcome, done))

    def _end_of_stage(self, record: TrialRecord) -> int:
        return self._halving.until(record) or total_epochs(record.task)

    def stage(self, record: TrialRecord) -> RungStage:
        return RungStage(self._halving.until(record), self._halving.averaged_after(record.task))
