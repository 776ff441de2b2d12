"""What a study would cost, measured on a few steps of a few of its trials."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import optuna
import torch

from kdsearch.data import derive
from kdsearch.errors import StudyError
from kdsearch.models import build_network, measure_config
from kdsearch.search.fitting import Pairs
from kdsearch.search.judging import baseline_rates
from kdsearch.search.plan import Plan
from kdsearch.search.proposals import within_limits, works
from kdsearch.search.record import TrialRecord, new_record
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, MUTUAL
from kdsearch.training.courses import total_epochs
from kdsearch.training.task import Task
from kdsearch.training.teacher import AveragedTeachers, Teacher, Teaching
from kdsearch.training.teacher_store import teacher_task
from kdsearch.training.trainer import Trainer, initial_student

STEPS = 5
"""Timed steps of each sample, after one that warms up."""


@dataclass(frozen=True)
class Cost:
    """Estimated seconds of each phase on this machine, start-up left out.

    Attributes:
        teacher: Training the teachers; 0 where checkpoints are given.
        search: All trials, several at a time.
        finalists: Trainings of finalists and baselines, at most.
    """

    teacher: float
    search: float
    finalists: float

    @property
    def total(self) -> float:
        """Seconds in all."""
        return self.teacher + self.search + self.finalists


def sample_trials(plan: Plan, count: int) -> list[TrialRecord]:
    """Random trials of the space within its size limits, with their sizes.

    Raises:
        StudyError: No random student keeps the limits.
    """
    sampler = optuna.samplers.RandomSampler(seed=derive(plan.spec.study.seed, "samples"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    pairs = Pairs(plan.spec, plan.data.image_shape, len(plan.data.classes))
    records: list[TrialRecord] = []
    for number in range(20 * count):
        trial = study.ask()
        candidate = plan.space.suggest(trial)
        size = measure_config(candidate.model, plan.data.image_shape, len(plan.data.classes))
        record = new_record(number, "search", candidate.task(plan.spec, 0), size, trial.params)
        if within_limits(record, plan.spec.search) and works(candidate, pairs):
            records.append(record)
        if len(records) == count:
            break
    if not records:
        raise StudyError(
            f"none of {20 * count} random students keeps the size limits; raise "
            "search.max_parameters, max_macs or max_bytes, or search smaller widths"
        )
    return records


def estimate_cost(plan: Plan, samples: list[TrialRecord]) -> Cost:
    """Time a few steps of the teacher and of each sample, on this process's device.

    The mean over the samples stands for all trials.
    """
    spec, data = plan.spec, plan.data
    device = "cuda" if spec.resources.gpus_per_trial and torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.resources.cpus_per_trial)
    try:
        teachers = {
            name: Teacher(build_network(section.model, data.image_shape, len(data.classes)), device)
            for name, section in spec.teachers_in_use.items()
        }
        each = [_seconds(record.task, plan, teachers, device) for record in samples]
        first = sum(
            _seconds(teacher_task(spec, name), plan, {}, device) / section.workers
            for name, section in spec.teachers_in_use.items()
            if name not in plan.given_teachers
        )
    finally:
        torch.set_num_threads(threads)
    mean = sum(each) / len(each) / spec.resources.concurrent
    last = spec.finalists.max * (2 * spec.finalists.seeds + len(baseline_rates(spec)) + 1)
    return Cost(first, mean * spec.search.trials, mean * last)


def _seconds(task: Task, plan: Plan, teachers: Mapping[str, Teacher], device: str) -> float:
    """Seconds of a whole training, from a few steps and one evaluation of it."""
    trainer = Trainer(task, plan.data, _teaching(task, plan, teachers, device), device)
    steps = min(STEPS, trainer.steps_per_epoch)
    order = torch.arange(len(plan.data.train), device=device)
    trainer.train_step(order, 0)
    start = time.perf_counter()
    for step in range(steps):
        float(trainer.train_step(order, step))
    a_step = (time.perf_counter() - start) / steps
    start = time.perf_counter()
    trainer.evaluate_validation()
    evaluation = time.perf_counter() - start
    epochs = 2 * total_epochs(task) if task.teacher == MUTUAL else total_epochs(task)
    return epochs * (a_step * trainer.steps_per_epoch + evaluation)


def _teaching(
    task: Task, plan: Plan, teachers: Mapping[str, Teacher], device: str
) -> Teaching | None:
    """Whom a step of the task's training asks; the student's like where it teaches itself."""
    if task.teacher is None:
        return None
    if task.teacher == AVERAGE:
        return AveragedTeachers(list(teachers.values()))
    if task.teacher in (BORN_AGAIN, MUTUAL):
        return Teacher(initial_student(task, plan.data), device)
    return teachers[task.teacher]
