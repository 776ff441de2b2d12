"""What is known of a study, read from its directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.errors import StudyError
from kdsearch.problems import Problem
from kdsearch.results.compared import ComparedTeacher
from kdsearch.results.cost import TrialCost
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.finalists import Finalist
from kdsearch.results.front import hypervolume, near_front, pareto_front, spread
from kdsearch.results.judging import Judging, affordable
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import method_ranking
from kdsearch.results.record import TrialRecord, by_task
from kdsearch.results.tables import front_table, trials_table
from kdsearch.results.way_ranking import way_ranking, ways_of_few
from kdsearch.spec.domains import SOURCE
from kdsearch.spec.study import StudySpec
from kdsearch.training.recipe import Recipe


class Study:
    """What is known of a study, read from its directory.

    Example:
        >>> study = Study.open("studies/digits")  # doctest: +SKIP
        >>> study.front[["method", "parameters", "gain"]]  # doctest: +SKIP
    """

    def __init__(self, directory: StudyDirectory) -> None:
        self.directory = directory
        self.spec: StudySpec = directory.spec()

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """The study in a folder, which is known by its absolute path from then on.

        Raises:
            StudyError: There is no study.
        """
        StudyDirectory(Path(path)).state()
        return cls(StudyDirectory(Path(path).absolute()))

    @property
    def objectives(self) -> Objectives:
        """What the search weighs."""
        found, worst = Objectives.of(self.spec), self.state.get("worst_losses", {})
        more = {name: worst.get(name, one) for name, one in found.more.items()}
        return replace(found, worst=worst.get(found.score, found.worst), more=more)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics by which every student is judged."""
        return Problem.of(self.spec).names

    @property
    def source_scores(self) -> tuple[str, ...]:
        """Names of the scores on the source's test; none where there is one domain."""
        return tuple(SOURCE + name for name in self.metrics) if self.spec.target else ()

    @property
    def size(self) -> str:
        """The size of tables and figures."""
        return self.objectives.size

    @property
    def largest(self) -> tuple[float, ...]:
        """The teacher, with whom every student is compared, by each of the objectives' sizes.

        Where every task has a teacher of its own, the sizes of these are added up.
        """
        teacher = self.teacher
        try:
            assert teacher is not None
            return tuple(teacher.sizes[name] for name in self.objectives.sizes)
        except (KeyError, AssertionError):
            raise StudyError(
                f"{self.directory.path} does not say how large its teacher is; was it made by an "
                "earlier kdsearch, or cut off before its teacher was there?"
            ) from None

    @property
    def teacher(self) -> ComparedTeacher | None:
        """The teacher with whom every student is compared; ``None`` before it is there."""
        state, name = self.state, self.spec.compared_with
        names = self.spec.teachers_behind(name)
        known = state.get("teachers", {})
        if not all(each in known for each in names):
            return None
        sizes = [known[each]["size"] for each in names]
        added = {size: sum(each[size] for each in sizes) for size in sizes[0]}
        timed = state.get("latencies", {}).get("teachers", {})
        for size in ("latency", "int8_latency"):
            if all(size in timed.get(each, {}) for each in names):
                added[size] = sum(timed[each][size] for each in names)
        scores = state.get("compared", {})
        return ComparedTeacher(name, added, scores.get("validation", {}), scores.get("test", {}))

    @property
    def state(self) -> dict[str, Any]:
        """State, phase, teacher, data and places of the records."""
        return self.directory.state()

    @property
    def _trial_cost(self) -> TrialCost:
        try:
            return TrialCost.recorded(self.state["data"])
        except KeyError:
            raise StudyError(
                f"{self.directory.path} does not say how large its data set is, by which "
                "finalists.share is counted; was it made by an earlier kdsearch?"
            ) from None

    def records(self) -> list[TrialRecord]:
        """The ended trials of the search, by their ends."""
        return [record for record in self.directory.trials.read().values() if record.ended]

    def members(self) -> list[TrialRecord]:
        """The Pareto front on validation, small to large."""
        return pareto_front(self.records(), self.objectives)

    def chosen(self) -> list[TrialRecord]:
        """The finalists: the members of the front, or some spread evenly along it, small to large.

        Places that the members leave go to the trials that are within noise of the front. No more
        are chosen than ``finalists.share`` allows.
        """
        records = self.records()
        members = pareto_front(records, self.objectives)
        near = near_front(records, members, self.objectives, self.validation_samples)
        if self.spec.search.strategy == "ladder":
            near = self._others(near, members)

        def choose(most: int) -> list[TrialRecord]:
            return [*spread(members, most, self.size), *near[: max(0, most - len(members))]]

        share = self.spec.finalists.share
        if share is None:
            chosen = choose(self.spec.finalists.max)
        else:
            chosen = affordable(self.spec, records, choose, share, self._trial_cost)
        return sorted(chosen, key=lambda record: (record.size(self.size), record.number))

    def _others(
        self, near: Sequence[TrialRecord], members: Sequence[TrialRecord]
    ) -> list[TrialRecord]:
        """Those trials that are not judged by the very trainings of another one."""
        found: list[TrialRecord] = []
        known = [Recipe.from_scratch(self.spec, each.task) for each in members]
        for each in near:
            recipe = Recipe.from_scratch(self.spec, each.task)
            if each.task.parent is not None or recipe not in known:
                found.append(each)
                known.append(recipe)
        return found

    def finalists(self) -> list[Finalist]:
        """The trials that were, or will be, judged on the test."""
        known = by_task(self.directory.finalists)
        return Judging(self.spec, self.chosen(), self.records(), known).finalists(known)

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial of the search."""
        return trials_table(self.records(), self.members(), self.metrics)

    @property
    def front(self) -> pd.DataFrame:
        """One row a finalist, with test scores and gain over the undistilled baseline."""
        members = {member.number for member in self.members()}
        finalists, teacher = self.finalists(), self.teacher
        return front_table(
            finalists,
            self.objectives,
            members,
            self.metrics,
            teacher,
            self.validation_samples,
            self.state.get("latencies", {}).get("trials", {}),
            self.source_scores,
        )

    @property
    def validation_samples(self) -> int:
        """Samples of the validation split; 0 before the study says so."""
        return int(self.state.get("data", {}).get("validation", 0))

    @property
    def ranking(self) -> pd.DataFrame:
        """One row a method, with what it reaches at one tuning budget; the best first."""
        records = self._comparing()
        largest = self.largest[0] if records else 1  # without a trial there may be no teacher yet
        return method_ranking(records, self.objectives, largest, self.spec.study.seed)

    @property
    def way_ranking(self) -> pd.DataFrame:
        """One row a size and a way, with what it reaches there; none where there is one way."""
        return way_ranking(self._comparing(), self.objectives, self.spec.study.seed)

    @property
    def ways_of_few(self) -> dict[str, int]:
        """The ways that have too few complete trials to be ranked, with their number."""
        return ways_of_few(self._comparing())

    def _comparing(self) -> list[TrialRecord]:
        return [each for each in self.records() if each.compares_settings]

    def hypervolumes(self) -> list[float]:
        """Hypervolume of the validation front after each complete trial, by their ends."""
        complete = [record for record in self.records() if record.complete]
        counts, largest, objectives = range(1, len(complete) + 1), self.largest, self.objectives
        return [hypervolume(complete[:count], objectives, largest) for count in counts]
