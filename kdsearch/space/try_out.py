"""A few steps of what a study would train, so that what fails is told before it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import torch

from kdsearch.data import Dataset
from kdsearch.errors import KdsearchError, ModelError
from kdsearch.models import Network, Signal, build_network
from kdsearch.models.user_models import is_own
from kdsearch.space.architectures import Architectures
from kdsearch.space.ends import Ends, EndTraining, wanted_of
from kdsearch.space.space import Space
from kdsearch.space.teacher_scores import score_teacher
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called, teacher_path
from kdsearch.training.answers import output_warning
from kdsearch.training.by_task import ByTask
from kdsearch.training.few_steps import (
    BATCH,
    RememberingTeacher,
    answers,
    check_teacher,
    few_samples,
    short_task,
    train_briefly,
)
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, Teaching
from kdsearch.training.teacher_store import StoredTeacher, describe, teacher_task

STEPS = 8
"""Most steps of the user's code: a layer that is skipped at random is met with and without."""

OWN_STEPS = 2
"""Most steps of kdsearch's and torchvision's."""

WORK = 2e10
"""Multiply-accumulates that the steps of one training may take; one is taken at any rate."""

SECONDS = 3.0
"""After which trainings of kdsearch's and torchvision's own networks and methods are left out."""

LARGE = 3e9
"""Multiply-accumulates of a sample from which on they are left out in any case."""

CONTRAST = 100.0
"""Of samples for which values between 0 and 1 are no accident of initial weights."""


class TryOut:
    """Trains what a space may propose, at its ends, for a few steps each.

    Every network and method of the user's is tried, and on each student every kind of signal that
    the study's methods read; what has no code of the user's, while there is time.

    Args:
        spec: The study.
        data: Its data set.
        architectures: Sizes and shapes of its networks.
        space: What may be proposed.
    """

    def __init__(
        self, spec: StudySpec, data: Dataset, architectures: Architectures, space: Space
    ) -> None:
        self._spec, self._architectures = spec, architectures
        self._ends = Ends(spec, space, architectures)
        self._all = data
        self._data = few_samples(data, STEPS * BATCH)
        self._rungs = () if spec.search.scheduler.name == "none" else (1,)
        self._end = time.monotonic() + SECONDS
        self._warnings: list[str] = []

    def run(self, given: Mapping[str, StoredTeacher]) -> list[str]:
        """Train each for a few steps; what the user should know of them, in sentences.

        Args:
            given: The teachers that need no training, by name.

        Raises:
            SpecError: One cannot be trained; the message names it, and gives its line.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(self._spec.resources.cpus_per_trial)
        try:
            with torch.random.fork_rng(devices=[]):
                self._run(given)
        finally:
            torch.set_num_threads(threads)
        return self._warnings

    def _run(self, given: Mapping[str, StoredTeacher]) -> None:
        pairs = list(self._ends.pairs())
        wanted = wanted_of(pairs)
        teachers = {}
        for name in self._spec.teachers_in_use:
            teacher = Teacher(self._teacher(name, given.get(name)))
            read = wanted.get(name, frozenset()) | {Signal.LOGITS}
            teachers[name] = RememberingTeacher(teacher, read)
        together = ByTask.of(self._spec, self._data).beside(teachers)
        trainings = [*self._ends.networks(), *pairs]
        for each in sorted(trainings, key=lambda one: not one.own):
            if self._is_tried(each.own, each.macs):
                self._train(each, together)

    def _is_tried(self, own: bool, macs: float) -> bool:
        return own or (macs < LARGE and time.monotonic() < self._end)

    def _teacher(self, name: str, given: StoredTeacher | None) -> Network:
        section, path = self._spec.given_teachers[name], teacher_path(name)
        tasks = self._spec.tasks_of(name)
        data, size = self._data.of_tasks(tasks), self._architectures.of_tasks(tasks).size
        own, macs = is_own(section.model.family), size(section.model).macs
        who = f"the {called(name)}"
        tried = self._is_tried(own, macs)
        setting = ("model", "family") if given is None else ("checkpoint",)
        with self._refused((*path, *setting), f"{who} ({describe(section.model)})"):
            if given is not None:
                network = given.build(data)
                if section.answers:
                    self._warnings += score_teacher(who, network, self._all.of_tasks(tasks), macs)
            elif tried:
                task = short_task(teacher_task(self._spec, name), section.workers)
                few = few_samples(self._all.of_tasks(tasks), STEPS * BATCH) if tasks else data
                network = self._trained(task, {}, macs, own, few)
                if own:
                    self._look_at(network, who, data)
            else:
                network = build_network(section.model, data.inputs, data.outputs)
            if tried:
                check_teacher(section.model, network, data)
        return network

    def _train(self, each: EndTraining, teachers: Mapping[str, Teaching]) -> None:
        with self._refused(each.path, each.what):
            network = self._trained(
                short_task(each.task), teachers, each.macs, each.own, self._data
            )
            if each.own and each.task.teacher is None:
                self._look_at(network, each.task.model.family, self._data)

    def _trained(
        self,
        task: Task,
        teachers: Mapping[str, Teaching],
        macs: float,
        own: bool,
        data: Dataset,
    ) -> Network:
        affordable = max(int(WORK / max(3 * BATCH * macs, 1.0)), 1)
        there = len(data.train) // task.training.batch_size
        steps = min(affordable, there, STEPS if own else OWN_STEPS)
        return train_briefly(task, data, teachers, steps, self._rungs)

    def _look_at(self, network: Network, what: str, data: Dataset) -> None:
        """Note outputs that are no logits; with initial weights logits may look like others."""
        warning = _form(network, what, data)
        if warning is None or warning in self._warnings:
            return
        with suppress(ModelError):  # as such inputs overflow in some
            if _form(network, what, data, CONTRAST) == warning:
                self._warnings.append(warning)

    @contextmanager
    def _refused(self, path: KeyPath, what: str) -> Iterator[None]:
        try:
            yield
        except KdsearchError as error:
            raise self._spec.refuse(path, f"{what} cannot be used, since {error}") from error


def _form(network: Network, what: str, data: Dataset, contrast: float = 1.0) -> str | None:
    """That its outputs of classes or labels are no logits."""
    outputs = answers(network, data, contrast)
    heads = [head for head in data.problem.heads if head.kind != "value"]
    found = (output_warning(what, head.of(outputs)) for head in heads)
    return next((warning for warning in found if warning is not None), None)
