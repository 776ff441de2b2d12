"""The trainings that judge the finalists, in the order in which they can be done."""

from __future__ import annotations

from collections.abc import Mapping

from kdsearch.execution.jobs import Jobs, NoMoreJobs
from kdsearch.results.judging import Judging
from kdsearch.results.record import TrialRecord
from kdsearch.space.architectures import Architectures
from kdsearch.space.sizes import sized_record


class JudgingJobs(Jobs):
    """Hands out the sweep and the members' trainings, then the baselines' at their best rates.

    Args:
        judging: What is to be trained.
        ended: Trainings that ended before, by the key of their task; not handed out again.
        blueprints: Tells the sizes of the students.
    """

    def __init__(
        self,
        judging: Judging,
        ended: Mapping[str, TrialRecord],
        blueprints: Architectures,
    ) -> None:
        self._judging = judging
        self._ended = dict(ended)
        self._blueprints = blueprints
        first = [*judging.sweep, *judging.runs]
        self._waiting = [each for each in first if each.key not in ended]
        self._sweeping = {each.key for each in judging.sweep if each.key not in ended}
        self._with_baselines = False

    def next(self) -> TrialRecord | None:
        if not self._waiting and not self._with_baselines:
            if self._sweeping:
                return None
            self._with_baselines = True
            baselines = self._judging.baselines(self._ended)
            self._waiting = [each for each in baselines if each.key not in self._ended]
        if not self._waiting:
            raise NoMoreJobs
        each = self._waiting.pop(0)
        return sized_record(
            self._blueprints, self._judging.spec.search, each.number, each.phase, each.task
        )

    def ended(self, record: TrialRecord) -> None:
        key = record.task.key
        self._ended[key] = record
        self._sweeping.discard(key)
