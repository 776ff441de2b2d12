"""One study from teacher to finalists."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from kdsearch.errors import RunError, described
from kdsearch.execution.jobs import Jobs
from kdsearch.execution.observers import Observer
from kdsearch.execution.storage.trial_files import TrialFiles
from kdsearch.execution.tune_run import Runner
from kdsearch.problems.constant import constant_losses
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.judging import Judging
from kdsearch.results.no_front import no_front
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Journal, TrialRecord, by_task
from kdsearch.results.study import Study
from kdsearch.search.clock import is_deterministic
from kdsearch.search.halving import expected_epochs
from kdsearch.search.judging_jobs import JudgingJobs
from kdsearch.search.latencies import measure_latencies
from kdsearch.search.optuna_study import write_optuna_journal
from kdsearch.search.strategies import Before, search_jobs
from kdsearch.space.checks import Plan
from kdsearch.space.initial_checks import check_unchanged
from kdsearch.space.teacher_scores import training_warnings
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.teacher_cache.compared import scores_of_compared
from kdsearch.teacher_cache.contents import Caches
from kdsearch.teacher_cache.driver_node import DriverNode
from kdsearch.teacher_cache.prebuild import build_ahead
from kdsearch.training.by_task import ByTask
from kdsearch.training.measured import measured_sizes
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


class StudyRun:
    """Carries a checked study through its phases; ``retry_failed`` trains again what has failed."""

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
            "core": self.plan.architectures.stopwatch.core,
            "driver_node": DriverNode.here(caches.folder),
            "by_task": ByTask.of(self.spec, self.plan.data),
            "resources": self.spec.resources.model_dump(),
            "measured": self.spec.search.measured,
            "int8": self.spec.finalists.int8,
        }
        runner = Runner(shared, self.spec.resources, self.directory.path, self.observer)
        self._search(runner)
        errors = caches.errors()
        if any(errors.values()):
            self.directory.update(cache=self.directory.state()["cache"] | {"errors": errors})
            self.observer.caches_stored(errors)
        self._finalists(runner)
        self._score_teacher(shared)
        self._measure_latencies()
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

    def _teachers(self, data: SharedData) -> dict[str, StoredTeacher]:
        """Every teacher by name, trained if need be; the first is the one to compare with."""
        self.directory.update(phase="teacher")
        found, told = {}, {}
        if self.spec.search.measures_latency and self.spec.latency.command is None:
            self._take_latency_unit()
        before = self.directory.state().get("teachers", {})
        for name in self.spec.teachers_in_use:
            teacher, trained = self.plan.given_teachers.get(name), False
            if teacher is None:
                teacher, trained = self._stored_teacher(name, data)
            found[name] = teacher
            size: dict[str, float] = asdict(self.plan.teacher_sizes[name])
            model = self.spec.given_teachers[name].model
            networks = self.plan.architectures.of_tasks(self.spec.tasks_of(name))
            size |= networks.of_files(model, self.spec.search.of_files)
            if measured := self.spec.search.measured:
                size |= measured_sizes(teacher.build(self.plan.data), measured)
            told[name] = {
                "key": teacher.key,
                "weights": str(teacher.weights.absolute()) if teacher.weights else teacher.origin,
                "size": size,
                "trained": trained or before.get(name, {}).get("trained", False),
                **self._teacher_cost(teacher),
            }
            self.directory.update(teachers=told)
            self.observer.teacher_ready(teacher, trained)
            for warning in training_warnings(teacher, self.plan.data):
                self.observer.warned(warning)
        return found

    def _teacher_cost(self, teacher: StoredTeacher) -> dict[str, float]:
        """Seconds and epochs of a teacher's training over all its workers, where it had one."""
        history = teacher.facts.get("history", [])
        workers = self.spec.given_teachers[teacher.name].workers
        seconds = workers * sum(epoch["seconds"] for epoch in history)
        return {"seconds": seconds, "epochs": len(history)} if history else {}

    def _take_latency_unit(self) -> None:
        """Latencies are in the time that a reference took while nothing of the study ran."""
        before = self.directory.state().get("latency_reference")
        reference = self.plan.architectures.stopwatch.reference(before)
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
        spec, journal = self.spec, self.directory.trials
        data = self.plan.data
        worst = constant_losses(data.problem, data.validation.targets)
        self.directory.update(phase="search", worst_losses=worst)
        known = journal.read()
        finished = {number: each for number, each in known.items() if self._counts(each)}
        for each in known.values():  # a latency that is measured anew would be another
            self.plan.architectures.learn(
                each.task.model, {name: each.size(name) for name in spec.search.of_files}
            )
        spent = self.directory.state().get("search_seconds", 0.0)
        deterministic = is_deterministic(spec)
        begun_with = self.directory.inputs().checkpoints if spec.with_weights else {}
        before = Before(
            known,
            finished,
            None if deterministic else journal.lines(),
            spent,
            lambda now: self.directory.update(search_seconds=now),
            partial(check_unchanged, spec, begun_with),
        )
        jobs = search_jobs(self.plan, before, deterministic)
        total = None if spec.search.strategy == "ladder" else spec.search.trials
        done = list(finished.values())
        self.observer.phase_started("search", total, done, expected_epochs(self.plan.space))
        try:
            self._run(runner, jobs, journal)
        except BaseException:
            with suppress(Exception):  # why the search ends is what is told
                self._copy_for_optuna()
            raise
        self._copy_for_optuna()
        if jobs.spent is not None:
            self.observer.budget_spent(jobs.spent)

    def _copy_for_optuna(self) -> None:
        """Write the trials for optuna-dashboard; no study fails for want of a copy."""
        name, objectives = self.spec.study.name, Objectives.of(self.spec)
        path, records = self.directory.optuna, self.directory.trials.read()
        try:
            write_optuna_journal(path, name, objectives, self.plan.space, records)
        except Exception as error:  # a full disk, or Optuna's own
            self.observer.warned(
                f"{path}, a copy of the trials for optuna-dashboard, cannot be written "
                f"({described(error)}); the study goes on without it"
            )

    def _finalists(self, runner: Runner) -> None:
        self.directory.update(phase="finalists")
        records = list(self.directory.trials.read().values())
        members = Study(self.directory).chosen()
        if not members:
            raise RunError(no_front(records, Objectives.of(self.spec)))
        before = by_task(self.directory.finalists)
        known = {key: each for key, each in before.items() if self._counts(each)}
        judging = Judging(self.spec, members, records, known)
        jobs = JudgingJobs(judging, known, self.plan.architectures)
        self.observer.phase_started("finalists", judging.total, judging.done(known), judging.epochs)
        self._run(runner, jobs, self.directory.finalists, self.directory.weights)

    def _score_teacher(self, shared: Mapping[str, Any]) -> None:
        """Score the teacher with which students are compared, on the test too, once."""
        keys = [each["key"] for each in self.directory.state()["teachers"].values()]
        before = self.directory.state().get("compared")
        if before is None or before["keys"] != keys:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            scores = scores_of_compared(shared, self.plan.data, device)
            self.directory.update(compared={"keys": keys, **scores})

    def _measure_latencies(self) -> None:
        """Measure latency and memory of the finalists, unless they are those of before."""
        if not self.spec.finalists.latency:
            return
        study = Study(self.directory)
        before = self.directory.state().get("latencies", {}).get("trials", {})
        if set(before) != {str(each.trial.number) for each in study.finalists()}:
            self.directory.update(latencies=measure_latencies(study, self.plan))

    def _counts(self, record: TrialRecord) -> bool:
        """Whether a training is not to begin again."""
        return not (self.retry_failed and record.status == "failed")

    def _run(
        self, runner: Runner, jobs: Jobs, journal: Journal, weights: Path | None = None
    ) -> None:
        """Run a phase; several studies may have one storage, so its run is named by the study."""
        storage = self.spec.resources.storage or self.directory.tune
        files = TrialFiles(storage, self.directory.failures, weights, self.directory.parents)
        runner.run(jobs, journal, f"{self.spec.study.name}-{journal.path.stem}", files)
        for record in stopped(journal.read().values()):
            journal.append(record)
            self.observer.trial_ended(record)


def stopped(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trainings that wait when all is done, now stopped; a finalist's own never waits."""
    waiting = [each for each in records if not each.ended and each.phase != "finalists"]
    return [each.model_copy(update={"status": "stopped"}) for each in waiting]
