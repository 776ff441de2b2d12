"""One study from teacher to finalists."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from kdsearch.errors import RunError, StudyError
from kdsearch.search.ahead import build_ahead
from kdsearch.search.caching import plan_caches, prepare_caches
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.events import Observer
from kdsearch.search.finalists import Finalist
from kdsearch.search.front import hypervolume, pareto_front, spread
from kdsearch.search.home import Home
from kdsearch.search.judging import Judging, JudgingJobs
from kdsearch.search.kept import Caches
from kdsearch.search.plan import Plan
from kdsearch.search.proposals import ProposedJobs, open_optuna_study
from kdsearch.search.record import Journal, TrialRecord
from kdsearch.search.runner import Runner
from kdsearch.search.tables import front_table, trials_table
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.packing import pack_teacher
from kdsearch.training.ray_train import Group, SharedData
from kdsearch.training.teacher import Teacher
from kdsearch.training.teacher_store import (
    StoredTeacher,
    TeacherStore,
    teacher_key,
    teacher_task,
)
from kdsearch.training.teacher_training import train_on_workers


class Study:
    """What is known of a study, read from its directory.

    Args:
        directory: The study's files.

    Example:
        >>> study = Study.open("studies/digits")  # doctest: +SKIP
        >>> study.front[["method", "parameters", "test_accuracy", "gain"]]  # doctest: +SKIP
    """

    def __init__(self, directory: StudyDirectory) -> None:
        self.directory = directory
        self.spec: StudySpec = directory.spec()

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """The study in a folder.

        Raises:
            StudyError: There is no study.
        """
        directory = StudyDirectory(Path(path))
        directory.state()
        return cls(directory)

    @property
    def size(self) -> str:
        """The size that accuracy is weighed against."""
        return self.spec.search.size

    @property
    def largest(self) -> int:
        """That size of the teacher with which every student is compared."""
        try:
            return self.state["teachers"][TEACHER]["size"][self.size]
        except KeyError:
            raise StudyError(
                f"{self.directory.path} does not say how large its teacher is; was it made by an "
                "earlier kdsearch, or cut off before its teacher was there?"
            ) from None

    @property
    def state(self) -> dict[str, Any]:
        """State, phase, teacher, data and places of the records."""
        return self.directory.state()

    def records(self) -> list[TrialRecord]:
        """The ended trials of the search, by number."""
        return list(self.directory.trials.read().values())

    def members(self) -> list[TrialRecord]:
        """The Pareto front on validation, small to large."""
        return pareto_front(self.records(), self.size)

    def chosen(self) -> list[TrialRecord]:
        """The members of the front that are judged: all, or some spread evenly along it."""
        return spread(self.members(), self.spec.finalists.max, self.size)

    def finalists(self) -> list[Finalist]:
        """The members that were, or will be, judged on the test."""
        chosen = self.chosen()
        ended = _by_task(self.directory.finalists)
        return Judging(self.spec, chosen, ended).finalists(ended)

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial of the search."""
        return trials_table(self.records(), self.members())

    @property
    def front(self) -> pd.DataFrame:
        """One row a finalist, with test accuracy and gain over the undistilled baseline."""
        return front_table(self.finalists())

    def hypervolumes(self) -> list[float]:
        """Hypervolume of the validation front after each ended trial, in the order they ended."""
        records = self.records()
        largest = self.largest
        return [
            hypervolume(records[: count + 1], self.size, largest) for count in range(len(records))
        ]


class StudyRun:
    """Carries a planned study through its phases.

    Args:
        plan: The checked study.
        observer: Told of everything that happens.
    """

    def __init__(self, plan: Plan, observer: Observer) -> None:
        self.plan = plan
        self.spec = plan.spec
        self.observer = observer
        self.directory = StudyDirectory.of(plan.spec)

    def run(self) -> Study:
        """Teacher, search, finalists; what is done already is not done again.

        Raises:
            RunError: The teacher failed, or no trial of the search ended well.
        """
        data = SharedData.put(self.plan.data)
        self.plan = replace(self.plan, data=data.dataset)
        stored = self._teachers(data)
        teachers = {name: Teacher(each.build(self.plan.data)) for name, each in stored.items()}
        packed = {name: pack_teacher(stored[name].model, each) for name, each in teachers.items()}
        caches = self._caches(teachers, packed, data)
        shared = {
            "data": data.reference,
            "teachers": packed,
            "caches": caches,
            "home": Home.here(caches.folder),
            "resources": self.spec.resources.model_dump(),
        }
        runner = Runner(shared, self.spec.resources, self.directory.tune, self.observer)
        self._search(runner)
        self._tell_errors(caches)
        self._finalists(runner)
        return Study(self.directory)

    def _caches(
        self,
        teachers: Mapping[str, Teacher],
        packed: Mapping[str, dict[str, Any]],
        data: SharedData,
    ) -> Caches:
        """What is kept of the teachers' answers, its first epochs built where that takes long."""
        caches = plan_caches(self.plan, teachers)
        kept = {name: cache.plan.kept for name, cache in caches.teachers.items()}
        self.directory.update(
            cache={"folder": str(caches.folder), "bytes": caches.bytes, "epochs": kept}
        )
        self.observer.caches_planned(caches)
        prepare_caches(caches)
        build_ahead(caches, packed, self.spec, data, self.observer.cache_part)
        return caches

    def _tell_errors(self, caches: Caches) -> None:
        errors = caches.errors()
        if any(errors.values()):
            self.directory.update(cache=self.directory.state()["cache"] | {"errors": errors})
            self.observer.caches_stored(errors)

    def _teachers(self, data: SharedData) -> dict[str, StoredTeacher]:
        """Every teacher by name, trained if need be; the first is the one to compare with."""
        self.directory.update(phase="teacher")
        found, told = {}, {}
        for name in self.spec.teachers_in_use:
            teacher, trained = self.plan.given_teachers.get(name), False
            if teacher is None:
                teacher, trained = self._stored_teacher(name, data)
            found[name] = teacher
            size = asdict(self.plan.teacher_sizes[name])
            told[name] = {"key": teacher.key, "weights": str(teacher.weights), "size": size}
            self.directory.update(teachers=told)
            self.observer.teacher_ready(teacher, trained)
        return found

    def _stored_teacher(self, name: str, data: SharedData) -> tuple[StoredTeacher, bool]:
        """The teacher of a section's content, and whether it had to be trained.

        Of several studies that need it at once, one trains it and the others wait.
        """
        spec = self.spec
        section = spec.given_teachers[name]
        store = TeacherStore(StudyDirectory.teachers(spec))
        task = teacher_task(spec, name)
        key = teacher_key(task, data.dataset)
        store.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(store.folder / f"{key}.lock"):
            found = store.find(key)
            if found is not None:
                return replace(found, name=name), False
            self.observer.teacher_started(name, section.training.epochs)
            group = Group(section.workers, spec.resources, store.folder, f"{key}.run")
            network, history = train_on_workers(task, data, group, self.observer.teacher_epoch)
            shutil.rmtree(store.folder / f"{key}.run", ignore_errors=True)
            kept = store.keep(key, network, task, {"history": history})
            return replace(kept, name=name), True

    def _search(self, runner: Runner) -> None:
        spec = self.spec
        self.directory.update(phase="search")
        finished = self.directory.trials.read()
        study = open_optuna_study(self.directory.optuna, spec.study.name, spec.search.size)
        jobs = ProposedJobs(self.plan.space, study, self.plan.blueprints, finished)
        self.observer.phase_started("search", spec.search.trials, list(finished.values()))
        runner.run(jobs, self.directory.trials, "search")
        jobs.tell_all()

    def _finalists(self, runner: Runner) -> None:
        spec = self.spec
        self.directory.update(phase="finalists")
        records = list(self.directory.trials.read().values())
        members = Study(self.directory).chosen()
        if not members:
            reasons = sorted({record.reason or "" for record in records})
            raise RunError(
                f"none of the {len(records)} trials ended well, so there is no front; the first "
                f"reason was: {reasons[0] if reasons else 'no trial ran'}"
            )
        ended = _by_task(self.directory.finalists)
        judging = Judging(spec, members, ended)
        self.observer.phase_started("finalists", judging.total, judging.done(ended))
        runner.run(
            JudgingJobs(judging, ended, self.plan.blueprints),
            self.directory.finalists,
            "finalists",
            self.directory.weights,
        )


def _by_task(journal: Journal) -> dict[str, TrialRecord]:
    """Ended trainings by the key of their task."""
    return {record.task.key: record for record in journal.read().values()}
