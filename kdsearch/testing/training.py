"""One short training through the real loop, and all that is looked at afterwards."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.methods import METHODS, Method, method_config, reads_strong_view
from kdsearch.models import Network, Signal, Signals
from kdsearch.spec.concrete import ModelConfig, TrainingConfig
from kdsearch.spec.sections import Augmentation
from kdsearch.testing.material import BATCH, build, present, random_data
from kdsearch.training.task import Task
from kdsearch.training.teacher import Batch, Teacher
from kdsearch.training.trainer import Trainer
from kdsearch.ways import Way

State = dict[str, Tensor]

# Adam's steps do not shrink with the gradient, and without decay nothing else moves a weight.
TRAINING = TrainingConfig(epochs=2, batch_size=BATCH, optimizer="adamw", lr=1e-3, weight_decay=0)
"""How every student of a suite is trained."""

_STRONG = Augmentation(crop=1, cutout=3)
_STAND_IN = "kdsearch_method_under_test"


class Watched(Teacher):
    """A teacher that notes what it is asked.

    Attributes:
        wanted: The signals that were wanted, step by step.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.wanted: list[frozenset[Signal]] = []

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """As the teacher's own."""
        self.wanted.append(frozenset(wanted))
        return super().observe(batch, wanted)


@dataclass(frozen=True)
class Training:
    """A training of two epochs, and one that was resumed after the first.

    Attributes:
        student: The student's state at the end.
        resumed: The resumed student's.
        losses: Loss of the second epoch, uninterrupted and resumed.
        learnable: The method's parameters before the first step.
        learned: The same at the end.
        state: Names in the method's state.
        checkpoint: Names in the checkpoint of the module that is trained.
        teacher: The teacher's state at the end.
        teacher_sleeps: Whether the teacher is in eval mode and without gradient at the end.
        wanted: What was asked of the teacher, step by step.
        received: Which signals of either network the method was given.
    """

    student: State
    resumed: State
    losses: tuple[float, float]
    learnable: State
    learned: State
    state: frozenset[str]
    checkpoint: frozenset[str]
    teacher: State
    teacher_sleeps: bool
    wanted: tuple[frozenset[Signal], ...]
    received: frozenset[Signal]


@lru_cache(maxsize=8)
def train(
    cls: type[Method],
    student: ModelConfig,
    teacher: ModelConfig,
    hyperparameters: tuple[tuple[str, float], ...],
) -> Training:
    """Two epochs, and the second once more from the checkpoint after the first."""
    watched = Watched(build(teacher))
    received: set[Signal] = set()

    def note(_: nn.Module, given: tuple[Any, ...]) -> None:
        # a method that reads nothing is given no signals of the teacher
        received.update(*(present(signals) for signals in given[:2] if signals is not None))

    with label_of(cls) as label:
        task = _task(label, student, dict(hyperparameters))
        trainer = Trainer(task, random_data(cls.adapts), watched)
        (method,) = trainer.distiller.objective.methods
        method.register_forward_pre_hook(note)
        learnable = _parameters(method)
        trainer.train_epoch()
        checkpoint = through_a_file(trainer.state_dict())
        uninterrupted = trainer.train_epoch().loss
        resumed = Trainer(task, random_data(cls.adapts), Teacher(build(teacher)))
        resumed.load_state_dict(checkpoint)
        again = resumed.train_epoch().loss
    network = watched.network
    asleep = not any(part.training for part in network.modules())
    return Training(
        student=trainer.student.state_dict(),
        resumed=resumed.student.state_dict(),
        losses=(uninterrupted, again),
        learnable=learnable,
        learned=_parameters(method),
        state=frozenset(method.state_dict()),
        checkpoint=frozenset(checkpoint["distiller"]),
        teacher=network.state_dict(),
        teacher_sleeps=asleep and not any(p.requires_grad for p in network.parameters()),
        wanted=tuple(watched.wanted),
        received=frozenset(received),
    )


@contextmanager
def label_of(cls: type[Method] | type[Way], known: Mapping[str, type] = METHODS) -> Iterator[str]:
    """A name under which a spec finds the class, wherever it was defined.

    Args:
        cls: A method, or a way.
        known: kdsearch's own by name.
    """
    if known.get(cls.name) is cls:
        yield cls.name
        return
    module = ModuleType(_STAND_IN)
    module.__dict__["Subject"] = cls
    sys.modules[_STAND_IN] = module
    try:
        yield f"{_STAND_IN}:Subject"
    finally:
        del sys.modules[_STAND_IN]


def _task(label: str, student: ModelConfig, hyperparameters: dict[str, float]) -> Task:
    return Task(
        model=student,
        method=method_config(label, hyperparameters),
        training=TRAINING,
        strong=_STRONG if reads_strong_view(label) else None,
        views_seed=1,
        seed=2,
    )


def _parameters(method: Method) -> State:
    named = method.named_parameters()
    return {name: value.detach().clone() for name, value in named if value.requires_grad}


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from a checkpoint."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
