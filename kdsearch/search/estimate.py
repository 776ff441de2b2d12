"""What a study would cost, measured on a few steps of a few of its trials."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

import optuna
import torch

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.models import Signal, Signals, build_network
from kdsearch.results.cost import TrialCost
from kdsearch.results.judging import planned_trainings
from kdsearch.results.record import TrialRecord
from kdsearch.search.halving import Halving, trials_of_settings
from kdsearch.space.checks import Plan
from kdsearch.space.usable import Usable
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BORN_AGAIN, MUTUAL
from kdsearch.teacher_cache.choosing import plan_caches
from kdsearch.teacher_cache.contents import Caches
from kdsearch.training.by_task import ByTask
from kdsearch.training.fine_tuning import phases
from kdsearch.training.hardware import Hardware
from kdsearch.training.initial import initial_student, origin_of
from kdsearch.training.programs import judged_epochs, teaching_of, total_epochs
from kdsearch.training.stages import origin_width, stage_tasks
from kdsearch.training.task import Task
from kdsearch.training.teacher import Batch, Teacher, Teaching
from kdsearch.training.teacher_store import teacher_task
from kdsearch.training.trainer import Trainer

STEPS = 5
"""Timed steps of each sample, after one that warms up."""

TRIALS = 64
"""Random trials whose predicted costs stand for those of all."""


@dataclass(frozen=True)
class Cost:
    """Estimated seconds of each phase on this machine, start-up left out.

    Attributes:
        teacher: Training the teachers; 0 where checkpoints are given.
        cache: Running the teachers, once for all trials, for the cached signals that are not there
            yet.
        search: All trials, several at a time, with a scheduler as far as it is expected to let them
            go; no more than the budgets allow.
        finalists: Trainings of finalists and baselines, at most.
        caches: The teachers' cached signals.
    """

    teacher: float
    cache: float
    search: float
    finalists: float
    caches: Caches

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.teacher + self.cache + self.search + self.finalists


def sample_trials(plan: Plan, count: int) -> list[TrialRecord]:
    """Random trials of the space within its size limits, with their sizes.

    Raises:
        StudyError: No random student keeps the limits.
    """
    sampler = optuna.samplers.RandomSampler(seed=derive(plan.spec.study.seed, "samples"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    usable = Usable(plan.spec, plan.architectures)
    records: list[TrialRecord] = []
    for number in range(20 * count):
        trial = study.ask()
        recipe = plan.space.suggest(trial)
        record = usable.trial(recipe, number, trial.params)
        if record is not None:
            records.append(record)
        if len(records) == count:
            break
    if not records:
        raise StudyError(
            f"none of {20 * count} random students keeps the size limits; raise "
            "search.max_parameters, max_macs, max_bytes or max_latency, or search smaller widths"
        )
    return records


def estimate_cost(plan: Plan, samples: Sequence[TrialRecord]) -> Cost:
    """What a study costs on this process's device.

    A few steps of the teachers and of each sample are timed; of the samples come the seconds that a
    unit of predicted cost takes, and of the predicted costs of more random trials those of all.
    """
    spec, predicted = plan.spec, TrialCost.on(plan.data)
    # compiling takes a minute a sample, and would change an estimate little
    hardware = replace(Hardware.here(spec.resources), compiled=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.resources.cpus_per_trial)
    try:
        teachers = {
            name: Teacher(
                build_network(
                    section.model,
                    plan.data.inputs,
                    plan.data.of_tasks(spec.tasks_of(name)).outputs,
                ),
                hardware.device,
            )
            for name, section in spec.teachers_in_use.items()
        }
        caches = plan_caches(plan, teachers)
        kept = {name: _Remembering(each, caches, name) for name, each in teachers.items()}
        known = ByTask.of(spec, plan.data).beside(kept)
        timed = sum(_seconds(record.task, plan, known, hardware) for record in samples)
        first = sum(
            _seconds(teacher_task(spec, name), plan, {}, hardware) / section.workers
            for name, section in spec.teachers_in_use.items()
            if name not in plan.given_teachers
        )
    finally:
        torch.set_num_threads(threads)
    unit = timed / sum(predicted(each, total_epochs(each.task)) for each in samples)
    asking = sum(cache.seconds_left or 0.0 for cache in caches.teachers.values())
    trials = sample_trials(plan, min(TRIALS, spec.search.trials))
    lengths = [total_epochs(each.task) for each in trials]
    halving, own = Halving(spec), spec.training.epochs
    is_ladder = spec.search.strategy == "ladder"  # which spends all that it may, and no more
    expected = [
        own if is_ladder else halving.expected_epochs(length, judged_epochs(each.task))
        for each, length in zip(trials, lengths, strict=True)
    ]
    whole = unit * fmean(map(predicted, trials, lengths))
    found = unit * fmean(map(predicted, trials, expected))
    search = _within_budgets(spec, found * spec.search.trials, whole / fmean(lengths))
    judging = planned_trainings(spec, trials_of_settings(spec)) + _of_chains(plan)
    judged = whole * judging / spec.resources.concurrent
    return Cost(
        teacher=first,
        cache=asking / spec.resources.concurrent,
        search=search,
        finalists=min(judged, search * (spec.finalists.share or math.inf)),
        caches=caches,
    )


def _of_chains(plan: Plan) -> float:
    """Whole trainings that judge finalists of a ladder, and their baselines, in chains, at most."""
    finalists, share = plan.spec.finalists, plan.spec.search.ladder.link
    links = max((len(chain.widths) for chain in plan.chains if chain.cut), default=0)
    return 2 * finalists.max * finalists.seeds * (1 + share * links) if links else 0.0


def _within_budgets(spec: StudySpec, seconds: float, per_epoch: float) -> float:
    """Wall clock of trials that take so many seconds one after another, or what budgets allow."""
    search, resources = spec.search, spec.resources
    found = [min(seconds, (search.max_epochs or math.inf) * per_epoch) / resources.concurrent]
    if search.max_hours is not None:
        found.append(3600 * search.max_hours)
    if search.max_device_hours is not None:
        devices = resources.devices_per_trial * resources.concurrent
        found.append(3600 * search.max_device_hours / devices)
    return min(found)


def _seconds(task: Task, plan: Plan, teachers: Mapping[str, Teaching], hardware: Hardware) -> float:
    """Seconds of a whole training, from a few steps and one evaluation of each stage's phases."""
    total = 0.0
    for stage in stage_tasks(task, origin_width(plan.spec, task.model, task.parent)):
        for epochs, training in phases(stage.training):
            # of whatever weights, it takes as long
            phase = stage.model_copy(update={"training": training, "parent": task.parent})
            share = epochs / stage.training.epochs
            total += share * _seconds_alike(phase, plan, teachers, hardware)
    return total


def _seconds_alike(
    task: Task, plan: Plan, teachers: Mapping[str, Teaching], hardware: Hardware
) -> float:
    """The same of a training whose epochs all train the same weights."""
    own = task.teacher in (BORN_AGAIN, MUTUAL)
    origin = origin_of(task, teachers)
    peer = Teacher(initial_student(task, plan.data, origin), hardware.device) if own else None
    teaching = peer or teaching_of(task, teachers)
    trainer = Trainer(task, plan.data, teaching, hardware, origin=origin)
    marks = [time.perf_counter()]
    for step, batch in enumerate(islice(trainer.begin_epoch(), STEPS + 1)):
        float(trainer.train_step(batch, step))
        marks.append(time.perf_counter())
    warm = marks[1:] if len(marks) > 2 else marks
    a_step = (warm[-1] - warm[0]) / (len(warm) - 1)
    start = time.perf_counter()
    trainer.evaluate_validation()
    evaluation = time.perf_counter() - start
    epochs = (1 + (task.teacher == MUTUAL)) * total_epochs(task)
    return epochs * (a_step * trainer.steps_per_epoch + evaluation)


class _Remembering(Teaching):
    """A teacher as the trials have it: what is kept of it costs nothing to ask again."""

    def __init__(self, teacher: Teacher, caches: Caches, name: str) -> None:
        self.network, self.shapes = teacher.network, teacher.shapes
        self._teacher = teacher
        cache = caches.teachers.get(name)
        self._kept = frozenset(cache.whole if cache else ())
        self._known: dict[frozenset[Signal], Signals] = {}

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals; of what is kept, those of the first batch that was asked about."""
        if not set(wanted) <= self._kept:
            return self._teacher.observe(batch, wanted)
        key = frozenset(wanted)
        if key not in self._known:
            self._known[key] = self._teacher.observe(batch, wanted)
        return self._known[key]
