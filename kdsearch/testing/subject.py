"""The method under test: its hooks, and its making for a pair of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from kdsearch.methods import Method, find_method
from kdsearch.methods.base import WITHOUT_LOSS
from kdsearch.methods.targets import Targets
from kdsearch.models import Network, Signals, SignalShapes
from kdsearch.spec.concrete import ModelConfig
from kdsearch.testing.material import (
    PAIRS,
    PROGRESS,
    SAMPLES,
    Pair,
    build,
    random_signals,
    shapes_of,
    targets_of,
)


def evaluate(
    method: Method, student: Signals, teacher: Signals, progress: float, index: slice = slice(None)
) -> dict[str, Tensor]:
    """The method's parts for (some samples of) a batch, whatever it draws being seeded."""
    torch.manual_seed(0)
    targets = targets_of(index, method.unlabelled, method.adapts)
    return method(student, teacher, targets, progress)


@dataclass
class Bench:
    """A method that is ready for its first step.

    Attributes:
        method: The method, prepared.
        student: The network it was prepared with.
        teacher: Likewise.
        student_shapes: Shapes of the student's signals.
        teacher_shapes: Shapes of the teacher's.
    """

    method: Method
    student: Network
    teacher: Network
    student_shapes: SignalShapes
    teacher_shapes: SignalShapes

    def signals(
        self, dtype: torch.dtype = torch.float64, requires_grad: bool = False
    ) -> tuple[Signals, Signals]:
        """Random signals of the student and of the teacher."""
        return (
            random_signals(self.student_shapes, 1, dtype, requires_grad, self.method.strong_view),
            random_signals(self.teacher_shapes, 2, dtype, requires_grad),
        )

    def parts(
        self, student: Signals, teacher: Signals, progress: float, index: slice = slice(None)
    ) -> dict[str, Tensor]:
        """The parts as at a first step: a copy answers, so that nothing is remembered."""
        return evaluate(deepcopy(self.method), student, teacher, progress, index)

    def times(self) -> list[float]:
        """Times at which the loss is worked out in different ways: one, but for phases."""
        signals = self.signals(torch.float32)
        told: dict[frozenset[tuple[str, float]], float] = {}
        for progress in PROGRESS:
            parts = self.parts(*signals, progress)
            told.setdefault(
                frozenset((name, float(v.detach())) for name, v in parts.items()), progress
            )
        return list(told.values())

    def loss(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The sum of the parts that train the student."""
        own = [value for name, value in parts.items() if name not in self.method.helper_parts]
        return torch.stack(own).sum() if own else torch.zeros(())


class Subject:
    """What a subclass says of its method, and how the tests get hold of it.

    Attributes:
        method: The class, its name, or ``module:Class``.
        hyperparameters: Values that differ from the published defaults.
        pairs: The networks that it is tested on; those that it does not fit are skipped. A method
            of sequences adds :data:`~kdsearch.testing.SEQUENCES`.
    """

    method: type[Method] | str
    hyperparameters: Mapping[str, float] = MappingProxyType({})
    pairs: Sequence[Pair] = PAIRS

    def minimum(self, method: Method, signals: Signals) -> float | None:
        """The loss where the student's signals are the teacher's.

        Override it for a formula whose smallest value is not 0; :meth:`targets` are the labels.
        Where the formula has no minimum there, return ``None`` and say in the override's docstring
        why; the test is then skipped.

        Args:
            method: For two networks of one architecture, in float64 and in eval mode.
            signals: What both networks say.
        """
        return 0.0

    def align(self, method: Method) -> None:
        """Set learnable helpers so that identical networks give identical projected outputs.

        :func:`~kdsearch.testing.identity_projectors` is what most methods need here.

        Args:
            method: As for :meth:`minimum`; changed in place.
        """

    def targets(self) -> Targets:
        """The labels of the batch that the losses are tested on, and its domains if it adapts."""
        return targets_of(adapts=self.find().adapts)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Run every test that takes a ``pair`` on each of them; pytest calls it."""
        if "pair" in metafunc.fixturenames:
            metafunc.parametrize("pair", self.pairs, ids=[pair.name for pair in self.pairs])

    def find(self) -> type[Method]:
        """The method's class."""
        return find_method(self.method) if isinstance(self.method, str) else self.method

    def configs(self, pair: Pair) -> tuple[ModelConfig, ModelConfig]:
        """Student's and teacher's architecture; the student's with what it adopts."""
        if not self.find().adopts_classifier:
            return pair.student, pair.teacher
        return pair.student.model_copy(update={"adopts": pair.teacher}), pair.teacher

    def bench(
        self, pair: Pair, seed: int = 1, hyperparameters: Mapping[str, float] = MappingProxyType({})
    ) -> Bench:
        """The method on a pair of networks; skips the test where it does not fit them.

        Args:
            pair: The networks.
            seed: Of the method's random weights.
            hyperparameters: In place of the test class's.
        """
        cls, configs = self.find(), self.configs(pair)
        student, teacher = (shapes_of(config) for config in configs)
        reason = cls.unfit(student, teacher)
        if reason is not None:
            skip(f"{cls.name} does not fit this pair: {reason}")
        torch.manual_seed(seed)
        method = cls(student, teacher, **{**self.hyperparameters, **hyperparameters})
        networks = build(configs[0]), build(configs[1])
        method.prepare(networks[0], networks[1], SAMPLES)
        return Bench(method, networks[0], networks[1], student, teacher)

    def bench_with_loss(
        self, pair: Pair, hyperparameters: Mapping[str, float] = MappingProxyType({})
    ) -> Bench:
        """As :meth:`bench`; skips the test for a method without a loss."""
        if self.find().kind in WITHOUT_LOSS:
            skip(f"{self.find().name} has no loss")
        return self.bench(pair, hyperparameters=hyperparameters)


def skip(reason: str) -> None:
    """Leave the running test as skipped."""
    import pytest  # the suite is a part of kdsearch, pytest is not

    pytest.skip(reason)
