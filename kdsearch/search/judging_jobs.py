"""The trainings that judge the finalists, in the order in which they can be done."""

from __future__ import annotations

from kdsearch.execution.jobs import Jobs, NoMoreJobs, RungStage
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.results.sweep import Known
from kdsearch.search.taking_up import taken_up
from kdsearch.space.architectures import Architectures
from kdsearch.space.sizes import sized_record


class JudgingJobs(Jobs):
    """Hands out the sweeps and the members' trainings, then the baselines' as the sweeps say.

    Of what is ``known`` from before, one that was ``stopped`` at a rung waits there again.
    """

    def __init__(self, judging: Judging, known: Known, architectures: Architectures) -> None:
        self._judging = judging
        self._known = {key: taken_up(judging.spec, each) for key, each in known.items()}
        self._architectures = architectures
        self._running: set[str] = set()

    def next(self) -> TrialRecord | None:
        for each in self._judging.due(self._known):
            if each.key in self._running:
                continue
            self._running.add(each.key)
            if each.key in self._known:  # it waits at a rung, or was cut off
                return self._known[each.key].model_copy(update={"status": "running"})
            spec = self._judging.spec
            return sized_record(self._architectures, spec, each.number, each.phase, each.task)
        if self._running:
            return None
        raise NoMoreJobs

    def keeps(self, record: TrialRecord) -> bool:
        return self._judging.is_parent(record.task.key)

    def stage(self, record: TrialRecord) -> RungStage:
        if record.phase != "baselines":
            return RungStage()
        sweep = self._judging.baselines.sweeps[record.task.model, record.task.method.label]
        done = len(record.epochs)
        until = next((rung for rung in sweep.rungs if rung > done), None)
        return RungStage(until, sweep.averaged)

    def ended(self, record: TrialRecord) -> None:
        self._running.discard(record.task.key)
        self._known[record.task.key] = record
