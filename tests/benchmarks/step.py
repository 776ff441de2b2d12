"""What a training step of a trial costs over a bare PyTorch loop that has no teacher at all.

Side by side, in turn, one epoch at a time:

- *trial*: kdsearch's trainer with the method ``kd`` over a cache that is built already: views are
  augmented (crop and flip), the teacher's answers are read from their file, both losses count.
- *bare*: the same student on normalised float32 pictures that lie in memory, drawn in random order
  without augmentation, cross-entropy alone, SGD with Nesterov momentum, PyTorch's defaults.
- *tuned*: the same with the trial's own memory format, precision and optimiser, so that the ratio
  is not won by these alone.

``cached_over_bare`` and ``cached_over_tuned_bare`` are medians of the ratios of the rounds, over
whole epochs without evaluation: what a trial does once an epoch (the order, the hash of its views,
the checksum of the cache's file) counts. The pictures are noise, and a small network of random
weights answered for the cache: neither changes what a step takes.

    python tests/benchmarks/step.py --json step.json

With ``--quick`` fewer rounds; with ``--profile`` also where the time of a step goes. With
``--device cuda`` on a GPU, where also the student alone, the compiled student and the live teacher
are measured, and 1, 2 and 4 processes that share the GPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import torch
import torch.nn.functional as F  # noqa: N812
from measuring import keep_answers, machine, noise, ratio, shown
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim import SGD
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from kdsearch.data import Dataset, Split, Views
from kdsearch.methods import method_config
from kdsearch.models import Signal, build_network
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation
from kdsearch.training.cache import CachedTeacher, Subject, plan_cache, teacher_digest
from kdsearch.training.hardware import Hardware, memory_format
from kdsearch.training.optimizer import make_optimizer
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher, Teaching
from kdsearch.training.trainer import Trainer, initial_student

BATCH = 64
VALIDATION = 64
SHARING = (1, 2, 4)
"""Processes that share a GPU."""

_ANSWERING = ModelConfig(family="convnet", width=0.25, depth=1)
"""Answers for the cache: what is read of it does not depend on who answered."""


@dataclass(frozen=True)
class Case:
    """A student, and what it is trained on.

    Attributes:
        name: Its name in the results.
        model: The student.
        teacher: Who teaches where the teacher is asked live.
        shape: (channels, height, width) of the pictures.
        classes: Number of classes.
        crop: Padding of the random crop.
        steps: Steps of an epoch.
    """

    name: str
    model: ModelConfig
    teacher: ModelConfig
    shape: tuple[int, int, int]
    classes: int
    crop: int
    steps: int

    def task(self, label: str, epochs: int) -> Task:
        """The training of a trial by a method of kdsearch."""
        return Task(
            model=self.model,
            method=method_config(label, {}),
            training=TrainingConfig(epochs=epochs, batch_size=BATCH),
            augment=Augmentation(crop=self.crop, flip=True),
            views_seed=0,
            teacher=None if label == "none" else "teacher",
            seed=0,
        )

    def data(self) -> Dataset:
        """Noise in the form of a data set."""
        images, labels = noise(self.steps * BATCH + VALIDATION, self.shape, self.classes)
        whole = Split(torch.from_numpy(images), torch.from_numpy(labels))
        places = torch.arange(len(whole)).split([self.steps * BATCH, VALIDATION])
        train, validation = (whole.take(part) for part in places)
        channels, classes = self.shape[0], tuple(map(str, range(self.classes)))
        mean, std = (0.5,) * channels, (0.289,) * channels
        return Dataset("noise", train, validation, validation, classes, mean, std)


_RESNET = Case(
    "resnet8x4",
    ModelConfig(family="resnet", depth=8, width=4),
    ModelConfig(family="resnet", depth=32, width=4),
    (3, 32, 32),
    classes=100,
    crop=4,
    steps=8,
)
_CONVNET = Case(
    "convnet",
    ModelConfig(family="convnet", width=1, depth=3),
    ModelConfig(family="convnet", width=4, depth=3),
    (1, 28, 28),
    classes=10,
    crop=2,
    steps=128,
)
CASES = {
    "cpu": (_RESNET, _CONVNET),
    "cuda": (replace(_RESNET, steps=400), replace(_CONVNET, steps=400)),
}


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
    """The loop that needs no library: pictures in memory, no teacher, cross-entropy.

    Args:
        case: The student.
        data: The pictures.
        hardware: What to train on.
        tuned: Whether memory format, precision and optimiser are the trial's.
    """

    def __init__(self, case: Case, data: Dataset, hardware: Hardware, tuned: bool) -> None:
        task = case.task("none", 1)
        self.student = initial_student(task, data).to(hardware.device).train()
        views = Views(data.train.to(hardware.device), data.mean, data.std, None, 0)
        self._images, targets = views.batch(torch.arange(len(views)), 0)
        self._labels = targets.labels
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
            Subject("train", task.augment, task.views_seed, self.epochs),
            self._folder,
            budget=1e18,
        )
        cached = CachedTeacher(plan.builder(teacher, self.data, device))
        views = plan.subject.views(self.data, device)
        for epoch in range(self.epochs):
            keep_answers(cached, views, epoch)
        return cached

    def _network(self, model: ModelConfig) -> Teacher:
        torch.manual_seed(0)
        network = build_network(model, self.case.shape, self.case.classes)
        return Teacher(network, self.hardware.device)


class Clock:
    """Wall and processor time of parts, the device's work included.

    Args:
        device: Where the work is done; a GPU is waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def now(self) -> tuple[float, float]:
        """The clocks when all work that was given out is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter(), time.process_time()

    def add(self, part: str, start: tuple[float, float]) -> None:
        """Count what passed since ``start`` to a part."""
        for known, end, begin in zip((self.wall, self.cpu), self.now(), start, strict=True):
            known[part] = known.get(part, 0.0) + end - begin

    def counted(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with what it takes counted to a part."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = self.now()
            try:
                return function(*arguments, **named)
            finally:
                self.add(part, start)

        return call


def train_epoch(contender: Contender) -> float:
    """Train for one epoch; the sum of the losses, which waits for the device."""
    losses = [contender.step(batch, number) for number, batch in enumerate(contender.batches())]
    return float(torch.stack(losses).sum())


def measure(contenders: dict[str, Contender], rounds: int, clock: Clock) -> dict[str, Any]:
    """Seconds of an epoch by contender, wall and CPU, one value a round; the first is not counted.

    The contenders take turns, and another one begins in each round.
    """
    names = list(contenders)
    walls: dict[str, list[float]] = {name: [] for name in names}
    cpus: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = clock.now()
            train_epoch(contenders[name])
            wall, cpu = (end - begin for end, begin in zip(clock.now(), start, strict=True))
            if number:
                walls[name].append(wall)
                cpus[name].append(cpu)
    return {"wall": walls, "cpu": cpus}


def parts_of(contender: Contender, steps: int, device: torch.device) -> dict[str, float]:
    """Milliseconds a step of each part, over one epoch in which every part is waited for."""
    clock, begun = Clock(device), [(0.0, 0.0)]
    trainer = contender.trainer if isinstance(contender, Trial) else None
    with ExitStack() as stack:

        def count(owner: Any, name: str, part: str) -> None:
            watched = clock.counted(part, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, watched))

        if trainer is not None and trainer.teacher is not None:
            count(trainer.teacher, "observe", "cache or teacher")
        if trainer is None:
            count(contender, "loss", "forward")
        else:
            count(trainer.distiller, "forward", "forward")
        # the class's own attribute, so that every loss is seen
        backward = clock.counted("backward", Tensor.backward)
        stack.enter_context(patch.object(Tensor, "backward", lambda *a, **k: backward(*a, **k)))
        stack.callback(
            register_optimizer_step_pre_hook(lambda *_: begun.__setitem__(0, clock.now())).remove
        )
        stack.callback(
            register_optimizer_step_post_hook(lambda *_: clock.add("optimiser", begun[0])).remove
        )
        start = clock.now()
        batches = contender.batches()
        following = clock.counted("views or rows", lambda: next(batches, None))
        number = 0
        while (batch := following()) is not None:
            contender.step(batch, number)
            number += 1
        clock.add("whole", start)
    parts = {name: 1000 * seconds / steps for name, seconds in clock.wall.items()}
    return parts | {"rest": 2 * parts["whole"] - sum(parts.values())}


def compare(case: Case, device: torch.device, rounds: int, profile: bool) -> dict[str, Any]:
    """All figures of one student."""
    with tempfile.TemporaryDirectory(prefix="step") as folder:
        ways = Ways(case, device, rounds + 2, Path(folder))
        cached = ways.cached()
        contenders: dict[str, Contender] = {
            "trial": ways.trial(cached),
            "bare": ways.bare(tuned=False),
            "tuned": ways.bare(tuned=True),
        }
        if device.type == "cuda":
            contenders["trial, compiled"] = ways.trial(ways.cached(), compiled=True)
            contenders["student alone"] = ways.trial(None)
            contenders["trial, live teacher"] = ways.trial(ways.live())
        clock = Clock(device)
        times = measure(contenders, rounds, clock)
        found: dict[str, Any] = {"milliseconds": {}, "images_per_second": {}}
        for name, walls in times["wall"].items():
            seconds = statistics.median(walls) / case.steps
            found["milliseconds"][name] = 1000 * seconds
            found["images_per_second"][name] = BATCH / seconds
        for key, other in (("cached_over_bare", "bare"), ("cached_over_tuned_bare", "tuned")):
            found[key] = ratio(times["wall"]["trial"], times["wall"][other])
            if device.type == "cpu":
                found[key]["cpu_time"] = ratio(times["cpu"]["trial"], times["cpu"][other])
        if profile:
            names = ("trial", "bare", "tuned")
            found["parts"] = {n: parts_of(contenders[n], case.steps, device) for n in names}
    return found


def _train_beside(case: Case, device: str, epochs: int, folder: Path, start: Any, end: Any) -> None:
    torch.set_num_threads(1)
    ways = Ways(case, torch.device(device), epochs + 1, folder)
    trial = ways.trial(ways.cached())
    train_epoch(trial)
    start.wait()
    for _ in range(epochs):
        train_epoch(trial)
    end.wait()


def sharing(case: Case, device: str, processes: int, epochs: int) -> float:
    """Pictures a second of trials with a cache in several processes that share a device, summed."""
    context = multiprocessing.get_context("spawn")
    start, end = context.Barrier(processes + 1), context.Barrier(processes + 1)
    with tempfile.TemporaryDirectory(prefix="step") as folder:
        given = (case, device, epochs, Path(folder), start, end)
        beside = [context.Process(target=_train_beside, args=given) for _ in range(processes)]
        for process in beside:
            process.start()
        start.wait(timeout=600)
        begin = time.perf_counter()
        end.wait(timeout=600)
        seconds = time.perf_counter() - begin
        for process in beside:
            process.join()
    return processes * epochs * case.steps * BATCH / seconds


def run(device: str, quick: bool, profile: bool, console: Console) -> dict[str, Any]:
    """Measure every student on a device."""
    place = torch.device(device)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(place) if device == "cuda" else "cpu",
        "machine": machine(),
        "pictures": "noise",
        "batch": BATCH,
    }
    for case in CASES[device]:
        console.print(f"{case.name} …", highlight=False)
        figures = compare(case, place, 6 if quick else 20, profile)
        if device == "cuda":
            rates = {str(n): sharing(case, device, n, 4 if quick else 16) for n in SHARING}
            figures["images_per_second_sharing_the_gpu"] = rates
        for key, figure in figures.items():
            found.setdefault(key, {})[case.name] = figure
    return found


def table(found: dict[str, Any]) -> Table:
    """The ratios, and what they are made of."""
    names = list(found["cached_over_bare"])
    shown_table = Table(box=None, header_style="bold", title=f"a training step, {found['device']}")
    shown_table.add_column("")
    for name in names:
        shown_table.add_column(name, justify="right")

    def row(title: str, cells: Iterator[str]) -> None:
        shown_table.add_row(title, *cells)

    for key in ("cached_over_bare", "cached_over_tuned_bare"):
        row(key, (shown(found[key][name]) for name in names))
        if "cpu_time" in found[key][names[0]]:
            row("  in CPU time", (shown(found[key][name]["cpu_time"]) for name in names))
    for way in found["milliseconds"][names[0]]:
        row(f"{way}, ms", (f"{found['milliseconds'][name][way]:.2f}" for name in names))
        row("  images/s", (f"{found['images_per_second'][name][way]:,.0f}" for name in names))
    for count in SHARING if "images_per_second_sharing_the_gpu" in found else ():
        rates = found["images_per_second_sharing_the_gpu"]
        row(f"{count} processes, images/s", (f"{rates[name][str(count)]:,.0f}" for name in names))
    for way in ("trial", "bare", "tuned") if "parts" in found else ():
        parts = found["parts"]
        for part in parts[names[0]][way]:
            row(f"{way}: {part}, ms", (f"{parts[name][way][part]:.3f}" for name in names))
    return shown_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--profile", action="store_true", help="also time the parts of a step")
    parser.add_argument("--device", choices=tuple(CASES), default="cpu", help="where to train")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; leave --device out")
    torch.set_num_threads(1)
    start = time.perf_counter()
    found = run(options.device, options.quick, options.profile, Console(file=sys.stderr))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    Console(width=110).print(table(found))
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
