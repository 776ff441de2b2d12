"""One study from teacher to finalists."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from kdsearch.errors import RunError
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.trial_files import TrialFiles
from kdsearch.execution.tune_run import Runner
from kdsearch.results.cost import TrialCost
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.judging import Judging
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Journal, TrialRecord, by_task
from kdsearch.results.study import Study
from kdsearch.search.budget import Budget
from kdsearch.search.clock import is_deterministic
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.optuna_study import write_optuna_journal
from kdsearch.search.proposer import Proposer
from kdsearch.space.checks import Plan
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.driver_node import DriverNode
from kdsearch.teacher_cache.prebuild import build_ahead
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

Key = TypeVar("Key")


class StudyRun:
    """Carries a planned study through its phases.

    Args:
        plan: The checked study.
        observer: Told of everything that happens.
        retry_failed: Train again what has failed before.
    """

    def __init__(self, plan: Plan, observer: Observer, retry_failed: bool = False) -> None:
        self.retry_failed = retry_failed
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
            "core": self.plan.architectures.core,
            "driver_node": DriverNode.here(caches.folder),
            "resources": self.spec.resources.model_dump(),
        }
        runner = Runner(shared, self.spec.resources, self.directory.path, self.observer)
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
        """The teachers' cached signals, the first epochs built where that takes long."""
        caches = plan_caches(self.plan, teachers)
        kept = {name: cache.plan.cached for name, cache in caches.teachers.items()}
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
        if self.spec.search.measures_latency:
            self._take_latency_unit()
        before = self.directory.state().get("teachers", {})
        for name in self.spec.teachers_in_use:
            teacher, trained = self.plan.given_teachers.get(name), False
            if teacher is None:
                teacher, trained = self._stored_teacher(name, data)
            found[name] = teacher
            size: dict[str, float] = asdict(self.plan.teacher_sizes[name])
            if self.spec.search.measures_latency:
                model = self.spec.given_teachers[name].model
                size["latency"] = self.plan.architectures.latency(model)
            told[name] = {
                "key": teacher.key,
                "weights": str(teacher.weights),
                "size": size,
                "trained": trained or before.get(name, {}).get("trained", False),
            }
            self.directory.update(teachers=told)
            self.observer.teacher_ready(teacher, trained)
        return found

    def _take_latency_unit(self) -> None:
        """Latencies are in the time that a reference took while nothing of the study ran."""
        before = self.directory.state().get("latency_reference")
        reference = self.plan.architectures.reference(before)
        self.directory.update(latency_reference=reference.microseconds)

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
            trained = found is None
            if found is None:
                self.observer.teacher_started(name, section.training.epochs)
                group = Group(section.workers, spec.resources, store.folder, f"{key}.run")
                network, history = train_on_workers(task, data, group, self.observer.teacher_epoch)
                found = store.keep(key, network, task, {"history": history})
            # only now: until its weights are there, these checkpoints are all that is of it
            shutil.rmtree(store.folder / f"{key}.run", ignore_errors=True)
            return replace(found, name=name), trained

    def _search(self, runner: Runner) -> None:
        spec = self.spec
        self.directory.update(phase="search")
        known = self.directory.trials.read()
        finished = self._to_keep(known)
        proposer = Proposer(self.plan.space, self.plan.architectures, self.plan.past, known)
        cost, deterministic = TrialCost.on(self.plan.data), is_deterministic(spec)
        jobs = ProposedJobs(spec, proposer, finished, self._budget(), cost, deterministic)
        self.observer.phase_started("search", spec.search.trials, list(finished.values()))
        try:
            self._run(runner, jobs, self.directory.trials)
            self._stop_waiting(jobs, self.directory.trials)
        finally:
            write_optuna_journal(
                self.directory.optuna,
                spec.study.name,
                Objectives.of(spec.search),
                self.plan.space,
                self.directory.trials.read(),
            )
        if jobs.spent is not None:
            self.observer.budget_spent(jobs.spent)

    def _budget(self) -> Budget:
        before = self.directory.state().get("search_seconds", 0.0)
        return Budget(self.spec, before, lambda now: self.directory.update(search_seconds=now))

    def _finalists(self, runner: Runner) -> None:
        spec = self.spec
        self.directory.update(phase="finalists")
        records = list(self.directory.trials.read().values())
        members = Study(self.directory).chosen()
        if not members:
            raise RunError(no_front(records, spec.search.min_accuracy))
        known = self._to_keep(by_task(self.directory.finalists))
        judging = Judging(spec, members, records, known)
        jobs = JudgingJobs(judging, known, self.plan.architectures)
        self.observer.phase_started("finalists", judging.total, judging.done(known))
        self._run(runner, jobs, self.directory.finalists, self.directory.weights)
        self._stop_waiting(jobs, self.directory.finalists)

    def _to_keep(self, known: dict[Key, TrialRecord]) -> dict[Key, TrialRecord]:
        """What has become of trainings before; those that failed begin again where it is asked."""
        return {
            key: record
            for key, record in known.items()
            if not (self.retry_failed and record.status == "failed")
        }

    def _stop_waiting(self, jobs: ProposedJobs | JudgingJobs, journal: Journal) -> None:
        """Stop what still waits at a rung."""
        for record in jobs.stop_waiting():
            journal.append(record)
            jobs.ended(record)
            self.observer.trial_ended(record)

    def _run(
        self, runner: Runner, jobs: Jobs, journal: Journal, weights: Path | None = None
    ) -> None:
        """Run a phase; several studies may have one storage, so its run is named by the study."""
        storage = self.spec.resources.storage or self.directory.tune
        files = TrialFiles(storage, self.directory.failures, weights)
        runner.run(jobs, journal, f"{self.spec.study.name}-{journal.path.stem}", files)


def no_front(records: Sequence[TrialRecord], min_accuracy: float | None) -> str:
    """Why a study has no front, and what to do."""
    accuracies = [each.accuracy for each in records if each.accuracy is not None]
    if accuracies and min_accuracy is not None:
        return (
            f"the best of {len(accuracies)} complete trials reaches a validation accuracy of "
            f"{max(accuracies):.2%}, below search.min_accuracy ({min_accuracy:.2%}), so there is "
            "no front; lower it, or allow larger students or longer trainings"
        )
    reasons = sorted({record.reason for record in records if record.reason})
    return (
        f"none of the {len(records)} trials ended well, so there is no front; the first "
        f"reason was: {reasons[0] if reasons else 'no trial ran to its end'}"
    )
