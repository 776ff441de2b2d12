"""The ways to train a student that are measured side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from step_cases import BATCH, Case
from studies import keep_answers
from torch import Tensor
from torch.optim import SGD

from kdsearch.data import Dataset, Views
from kdsearch.models import Signal, build_network, of_images
from kdsearch.spec.concrete import ModelConfig
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import SplitViews, plan_cache, teacher_digest
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.training.hardware import Hardware, memory_format
from kdsearch.training.initial import initial_student
from kdsearch.training.optimizer import make_optimizer
from kdsearch.training.teacher import Teacher, Teaching
from kdsearch.training.trainer import Trainer

_ANSWERING = ModelConfig(family="convnet", width=0.25, depth=1)
"""TeacherSignals for the cache: what is read of it does not depend on who answered."""


class Contender(Protocol):
    """One way to train, epoch by epoch."""

    def batches(self) -> Iterator[Any]:
        """The batches of the next epoch."""

    def step(self, batch: Any, number: int) -> Tensor:
        """Train on one; the loss, detached."""


class Trial(Contender):
    """A training as a trial of kdsearch does it.

    Args:
        trainer: The training.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._started = False

    def batches(self) -> Iterator[Any]:
        self.trainer.epoch += self._started
        self._started = True
        return self.trainer.begin_epoch()

    def step(self, batch: Any, number: int) -> Tensor:
        return self.trainer.train_step(batch, number)


class Bare(Contender):
    """The loop that needs no library: images in memory, no teacher, cross-entropy.

    Args:
        case: The student.
        data: The images.
        hardware: What to train on.
        tuned: Whether memory format, precision and optimiser are the trial's.
    """

    def __init__(self, case: Case, data: Dataset, hardware: Hardware, tuned: bool) -> None:
        task = case.task("none", 1)
        self.student = initial_student(task, data).to(hardware.device).train()
        views = Views(data.train.to(hardware.device), data.scales, None, 0)
        whole = views.batch(torch.arange(len(views)), 0)
        self._images, self._labels = whole.inputs["image"], whole.targets["label"].labels
        if tuned:
            layout = memory_format(self.student)
            self.student.to(memory_format=layout)
            self._images = self._images.contiguous(memory_format=layout)
        config = task.training.model_copy(update={} if tuned else {"precision": "float32"})
        self._autocast = hardware.autocast(config)
        parameters = self.student.parameters()
        own = SGD(parameters, config.lr, config.momentum, 0, config.weight_decay, nesterov=True)
        self._optimizer = make_optimizer(self.student.parameters(), config) if tuned else own

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._labels), device=self._labels.device)
        for index in order.split(BATCH):
            yield self._images[index], self._labels[index]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Of a batch."""
        with self._autocast:
            return F.cross_entropy(self.student(images), labels)

    def step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        loss = self.loss(*batch)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()


class Ways:
    """Makes the contenders of a case.

    Args:
        case: The student.
        device: Where they train.
        epochs: How many they will train.
        folder: Takes the cache.
    """

    def __init__(self, case: Case, device: torch.device, epochs: int, folder: Path) -> None:
        self.case, self.epochs, self._folder = case, epochs, folder
        self.hardware = Hardware(device, compiled=False)
        self.data = case.data()

    def contenders(self) -> dict[str, Contender]:
        """All that are compared on the device, by their names in the results."""
        found: dict[str, Contender] = {
            "trial": self.trial(self.cached()),
            "bare": self.bare(tuned=False),
            "tuned": self.bare(tuned=True),
        }
        if self.hardware.device.type == "cuda":
            found["trial, compiled"] = self.trial(self.cached(), compiled=True)
            found["student alone"] = self.trial(None)
            found["trial, live teacher"] = self.trial(self.live())
        return found

    def bare(self, tuned: bool) -> Bare:
        """A bare loop."""
        return Bare(self.case, self.data, self.hardware, tuned)

    def trial(self, teacher: Teaching | None, compiled: bool = False) -> Trial:
        """A trial, taught by ``kd`` or, without a teacher, by the labels alone."""
        task = self.case.task("none" if teacher is None else "kd", self.epochs)
        hardware = replace(self.hardware, compiled=compiled)
        return Trial(Trainer(task, self.data, teacher, hardware))

    def live(self) -> Teacher:
        """A teacher that is asked at every step."""
        return self._network(self.case.teacher)

    def cached(self) -> CachedTeacher:
        """A teacher whose answers to all epochs are kept, computed by a small network."""
        device, task = self.hardware.device, self.case.task("kd", self.epochs)
        teacher = self._network(_ANSWERING)
        plan = plan_cache(
            teacher_digest(teacher.network, _ANSWERING),
            teacher.shapes,
            {Signal.LOGITS},
            self.data,
            SplitViews("train", task.augment, task.views_seed, self.epochs),
            self._folder,
            budget=1e18,
        )
        cached = CachedTeacher(CacheBuilder(plan, teacher, self.data, device))
        train = self.data.train.to(device)
        views = Views(train, self.data.scales, task.augment, task.views_seed)
        for epoch in range(self.epochs):
            keep_answers(cached, views, epoch)
        return cached

    def _network(self, model: ModelConfig) -> Teacher:
        torch.manual_seed(0)
        network = build_network(model, of_images(self.case.shape), self.case.classes)
        return Teacher(network, self.hardware.device)
