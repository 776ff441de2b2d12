"""The one training loop: teacher, trial, finalist, one worker or many."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.data import Batch, Dataset, Views, derive, make_feed
from kdsearch.errors import DivergedError, ModelError
from kdsearch.models import Network
from kdsearch.models.weights import round_to_stored
from kdsearch.training.averaging import WeightAverage, exponential, over_last_part
from kdsearch.training.class_balance import drawn_by
from kdsearch.training.distiller import Distiller
from kdsearch.training.evaluation import Scores, evaluate, of_source
from kdsearch.training.fine_tuning import Freezing, fine_tuning_of, parameter_groups
from kdsearch.training.hardware import Hardware, memory_format
from kdsearch.training.initial import (
    initial_student,
    learnt_from,
    make_objective,
    steps_per_epoch,
)
from kdsearch.training.optimizer import make_optimizer, make_schedule
from kdsearch.training.ranks import Ranks
from kdsearch.training.reports import EpochReport
from kdsearch.training.streams import check_shares, epoch_samples
from kdsearch.training.strong_views import strong_changes
from kdsearch.training.target_statistics import target_statistics
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, SplitName, Teaching, plain_views
from kdsearch.ways import make_ways, settle


class Trainer:
    """Trains one network, epoch by epoch.

    The order of samples and their views are pure functions of the task's seeds and the epoch, so
    that a training that is saved and resumed, or spread over workers, sees the same samples.

    Args:
        task: What to train and how.
        data: The data set.
        teacher: The teacher, for a task whose method has distillation terms.
        hardware: What to train on.
        ranks: This process's place among the workers.
        reference: The teacher that the student is compared with in evaluations.
        student: The network to train, where it must be a certain object; else it is made.
        rungs: Epochs after which the average of the latest weights is scored too. It changes
            nothing else.
        origin: The trained network that the student is cut from, where the task names one.
        since: Epochs that a training had before which this one goes on; samples and views are
            those of the epochs after them.
        whole: Epochs of the whole training, by which terms know how far it has come; absent: it
            ends with this one.

    Raises:
        DataError: Fewer training samples than one batch.
        MethodError: The method cannot work on this pair of networks.
        ModelError: The network cannot be built.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        teacher: Teaching | None = None,
        hardware: Hardware | None = None,
        ranks: Ranks | None = None,
        reference: Reference | None = None,
        student: Network | None = None,
        rungs: Collection[int] = (),
        origin: Network | None = None,
        since: int = 0,
        whole: int | None = None,
    ) -> None:
        self.task = task
        self._since, self._whole = since, whole or since + task.training.epochs
        hardware = hardware or Hardware()
        self.device = hardware.device
        self.ranks = ranks or Ranks()
        self.steps_per_epoch = steps_per_epoch(task, data)
        self._data = data = data.of_tasks(task.tasks)
        self._learnt = learnt_from(task, data)
        self._labels = drawn_by(data.train, data.problem).cpu()[self._learnt]
        domain = data.train.domain
        self._domain = None if domain is None else domain.cpu()[self._learnt]
        check_shares(task.training, self._labels, self.ranks.world_size, self._domain)
        self._reference = reference
        student = initial_student(task, data, origin) if student is None else student
        objective = make_objective(task, data, student, teacher)
        self.teacher = teacher if objective.teacher_signals else None
        self._feed = make_feed(
            data.train,
            data.scales,
            task.augment,
            task.views_seed,
            self.device,
            hardware.loaders,
            {*student.inputs, *(self.teacher.inputs if self.teacher else ())},
            strong_changes(task, objective),
        )
        self._validation_views = plain_views(data, "validation", self.device, student.inputs)
        self._memory_format = memory_format(student)
        student.to(memory_format=self._memory_format)
        steps = task.training.epochs * self.steps_per_epoch
        self.distiller = Distiller(student, objective, hardware.compile(student, steps))
        self.distiller.to(self.device)
        self._ema = None
        if task.training.ema is not None:
            self._ema = WeightAverage(student, exponential(task.training.ema))
        self._rungs = frozenset(rungs)
        self._average = WeightAverage(student, over_last_part()) if self._rungs else None
        self._ways = make_ways(task.model.ways)
        self._constrain()  # before anything goes by the names of weights
        tuning = fine_tuning_of(task.model, task.training)
        self._freezing = Freezing(student, tuning)
        self._autocast = hardware.autocast(task.training)
        groups = parameter_groups(self.distiller, task.training, tuning, self._freezing.always)
        self._optimizer = make_optimizer(groups, task.training)
        self._schedule = make_schedule(self._optimizer, task.training, self.steps_per_epoch)
        self._lr = float(self._schedule.get_last_lr()[0])
        self._statistics = target_statistics(task, data, student, self.device, self.ranks)
        self.epoch = 0
        self._module = self._begin_module()

    def _constrain(self) -> None:
        """Hold the weights to the form of the task's ways; averages, which are copies, as well:
        PyTorch cannot free a copy of a module that was parametrized before."""
        averages = (each.network for each in (self._ema, self._average) if each is not None)
        for network in (self.distiller.student, *averages):
            for way in self._ways:
                way.constrain(network)

    def _begin_module(self) -> nn.Module:
        """What a step calls, for what is trained in the present epoch."""
        self._freezing.begin_epoch(self.epoch)
        # a term that initialises the student, or whose helpers freeze, leaves some unused
        return self.ranks.sharing(self.distiller, bool(self.distiller.objective.terms))

    @property
    def student(self) -> Network:
        """The network that is shipped, free of the objective's helpers.

        It is the one that is trained, or, where the task has ``ema``, the average of its weights.
        """
        return self.distiller.student if self._ema is None else self._ema.network

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.task.training.epochs

    def train_epoch(self) -> EpochReport:
        """Train for one epoch and evaluate on the validation split.

        Raises:
            DivergedError: The loss or a weight is not finite.
        """
        start = time.perf_counter()
        losses = [self.train_step(batch, step) for step, batch in enumerate(self.begin_epoch())]
        return self.end_epoch(losses, start)

    def begin_epoch(self) -> Iterator[Batch]:
        """Make ready for an epoch; the batches that it is made of, one a step."""
        # Dropout draws from torch's one generator: seeded by epoch, it does not depend on what the
        # process did before, on a resume, or on the method's own initial weights.
        epoch = self._since + self.epoch
        torch.manual_seed(derive(self.task.seed, "epoch", epoch, self.ranks.rank))
        self.distiller.train()
        if self._freezing.begin_epoch(self.epoch):  # workers exchange the gradients of others
            self._module = self._begin_module()
        training, seed = self.task.training, self.task.seed
        labels, domain = self._labels, self._domain
        drawn = epoch_samples(training, seed, epoch, labels, self.steps_per_epoch, domain)
        batches = self._learnt[drawn].split(training.batch_size)
        indices = [self.ranks.share(part) for part in batches]
        return self._batches(indices, epoch)

    def _batches(self, indices: Sequence[Tensor], epoch: int) -> Iterator[Batch]:
        """Batches in the memory format in which the student is fast."""
        for batch in self._feed.batches(indices, epoch):
            yield batch.laid_out(self._memory_format)

    def end_epoch(self, losses: Sequence[Tensor], start: float) -> EpochReport:
        """Count the epoch and evaluate on the validation split.

        Args:
            losses: The loss of each step.
            start: When the epoch began, by ``time.perf_counter``.

        Raises:
            DivergedError: The loss or a weight is not finite.
        """
        self.epoch += 1
        total = torch.stack(list(losses)).sum()
        loss = float(self.ranks.sum(total)) / self.ranks.world_size / self.steps_per_epoch
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}")
        if self.finished:
            self._feed.close()
            self._settle()
            # from now on the student is what is shipped, and so are all its scores
            round_to_stored(self.student)
            if self._statistics is not None:
                self._statistics.settle(self.student)
                round_to_stored(self.student)
        scores = self.evaluate_validation()
        averaged = self._score_average()
        seconds = time.perf_counter() - start
        return EpochReport(self.epoch, loss, self._lr, seconds, scores, averaged)

    def _settle(self) -> None:
        """Make the weights plain tensors of the form that the task's ways give them."""
        settle(self.distiller.student)
        settle(self.student)

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"{what} in epoch {self.epoch}; lower the learning rate or the weights of the method"
        )

    def train_step(self, batch: Batch, step: int) -> Tensor:
        """One optimiser step on the ``step``-th batch of the epoch; the detached loss.

        Raises:
            ModelError: The loss depends on nothing that is trained.
        """
        signals = None
        if self.teacher is not None:
            signals = self.teacher.observe(batch, self.distiller.objective.teacher_signals)
        done = self.epoch * self.steps_per_epoch + step
        steps = self.task.training.epochs * self.steps_per_epoch
        before = self._since * self.steps_per_epoch
        progress = (before + done) / (self._whole * self.steps_per_epoch)
        with self._autocast:
            parts = self._module(batch.inputs, batch.targets, signals, progress, batch.strong)
            loss = parts["loss"]
        if self._freezing.active and not loss.requires_grad:
            raise ModelError(
                "what is frozen leaves nothing to train that the loss depends on; freeze less, or "
                "raise ce_weight above 0, which trains the head"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.task.training.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.distiller.parameters(), self.task.training.clip_grad_norm)
        self._optimizer.step()
        for way in self._ways:
            way.step(self.distiller.student, done + 1, steps)
        self._lr = float(self._schedule.get_last_lr()[0])
        self._schedule.step()
        for average in (self._ema, self._average):
            if average is not None:
                average.update()
        return loss.detach()

    def evaluate_validation(self) -> Scores:
        """Scores on the validation split, after the last epoch with the objective's error."""
        views = self._validation_views
        return self._evaluate(self.student, views, "validation", last=self.finished)

    def _score_average(self) -> Scores | None:
        """Scores of the averaged weights after a rung; no average is taken beyond the last."""
        if self._average is None or self.epoch not in self._rungs:
            return None
        network = self._average.network
        if self.epoch == max(self._rungs):
            self._average = None
        return self._evaluate(network, self._validation_views, "validation")

    def score_test(self) -> Scores:
        """Scores on the test split; for finalists alone, once, after the last epoch.

        With a target domain those on the source's test are there too, by names with ``source_``.
        """
        if self._data.source_test is None:
            return self._score_on("test")
        return self._score_on("test") | of_source(self._score_on("source_test"))

    def _score_on(self, split: SplitName) -> Scores:
        views = plain_views(self._data, split, self.device, self.student.inputs)
        return self._evaluate(self.student, views, split)

    def _evaluate(
        self, network: Network, views: Views, split: SplitName, last: bool = False
    ) -> Scores:
        """Scores of a network on a split, shared out over the workers."""
        # Each worker's batch statistics are of its own samples; the first worker's are kept.
        self.ranks.follow_first(network.buffers())
        beside = None if self._reference is None else self._reference.logits(split)
        try:
            with self._judged(network):
                return evaluate(network, views, self._data.problem, beside, self.ranks, last)
        except DivergedError as error:
            raise self._diverged(f"{error} on the {split} split") from None

    def _judged(self, network: Network) -> AbstractContextManager[None]:
        """A network as it is judged: with the target's statistics, where the task has them."""
        settled = self.finished and network is self.student
        return (
            nullcontext() if self._statistics is None or settled else self._statistics.lent(network)
        )

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs: weights, helpers, optimiser, schedule, epoch."""
        return {
            "task": self.task.key,
            "epoch": self.epoch,
            "distiller": self.distiller.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": self._average and self._average.state_dict(),
            "ema": self._ema and self._ema.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict` of the same task.

        Raises:
            ModelError: The state belongs to another task.
        """
        if state["task"] != self.task.key:
            raise ModelError("this checkpoint belongs to another training; remove it")
        if state["epoch"] >= self.task.training.epochs:
            self._settle()
        self.distiller.load_state_dict(state["distiller"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        if state["average"] is None:
            self._average = None
        elif self._average is not None:
            self._average.load_state_dict(state["average"])
        if self._ema is not None:
            self._ema.load_state_dict(state["ema"])
        self.epoch = state["epoch"]


def shipped_weights(state: dict[str, Any]) -> dict[str, Any]:
    """The state dict of :attr:`Trainer.student` from one of :meth:`Trainer.state_dict`."""
    values, prefix = state["distiller"], "student."
    if state["ema"] is not None:
        values, prefix = state["ema"], "module."
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
