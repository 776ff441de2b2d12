"""Who teaches: a frozen network, an average of several, or a network that is itself training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from kdsearch.data import Batch, Dataset, Views
from kdsearch.errors import MethodError
from kdsearch.models import Network, Signal, Signals, SignalShapes
from kdsearch.training.hardware import memory_format

SplitName = Literal["validation", "test", "source_test"]
"""A split on which networks are scored; the last of a study with a target domain alone."""


def judged_splits(data: Dataset) -> tuple[SplitName, ...]:
    """The splits of a data set on which networks are scored."""
    names: tuple[SplitName, ...] = ("validation", "test", "source_test")
    return tuple(name for name in names if name in data.splits)


class Teaching(Protocol):
    """What a training asks of its teacher.

    Attributes:
        network: The network, for methods that take over weights.
        shapes: Shapes of its signals.
    """

    network: Network
    shapes: SignalShapes

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs that it needs of a batch."""
        return frozenset(self.network.inputs)

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of a batch, without gradient."""


class Teacher(Teaching):
    """A frozen network in eval mode.

    It is no ``nn.Module`` and registers nowhere, so no ``.train()`` of a parent can wake its batch
    normalisation and no optimiser or checkpoint of a student can pick up its weights.

    Args:
        network: The trained network; it is frozen in place.
        device: Where it runs.
    """

    def __init__(self, network: Network, device: torch.device | str = "cpu") -> None:
        self._memory_format = memory_format(network)
        self.network = network.to(device).to(memory_format=self._memory_format)
        self.network.eval().requires_grad_(False)
        self.shapes: SignalShapes = self.network.signal_shapes()

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of a batch, without gradient, in full precision."""
        # the inputs come laid out for the student
        inputs = batch.laid_out(self._memory_format).inputs
        with torch.no_grad(), torch.autocast(batch.device.type, enabled=False):
            return self.network.observe(inputs, wanted)


def plain_views(
    data: Dataset, split: SplitName, device: torch.device, wanted: Collection[str] | None = None
) -> Views:
    """A split without augmentation: the inputs that are wanted, or all."""
    return Views(data.splits[split].to(device), data.scales, None, 0, wanted)


def shapes_of_logits(classes: int) -> SignalShapes:
    """What several teachers show together: logits alone, since inner signals are each one's own."""
    return SignalShapes(classes=classes, embedding=0, features=())


class AveragedTeachers(Teaching):
    """The mean of several teachers' logits.

    Its softmax is, at every temperature, the normalised geometric mean of the teachers'
    distributions, one of the two averages of Hinton, Vinyals & Dean 2015.

    Args:
        teachers: The teachers; ``network`` is the first one's.
    """

    def __init__(self, teachers: Sequence[Teaching]) -> None:
        self.teachers = list(teachers)
        self.network = self.teachers[0].network
        self.shapes = shapes_of_logits(self.teachers[0].shapes.classes)

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs that any of them needs."""
        return frozenset().union(*(teacher.inputs for teacher in self.teachers))

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The mean logits [B, K] of a batch, without gradient.

        Raises:
            MethodError: Another signal is wanted.
        """
        if set(wanted) - {Signal.LOGITS}:
            raise MethodError("an average of teachers has logits alone; let one teacher teach")
        logits = [teacher.observe(batch, wanted).logits for teacher in self.teachers]
        return Signals(logits=torch.stack([z for z in logits if z is not None]).mean(dim=0))


class Peer(Teaching):
    """A network that teaches while it is trained itself.

    It runs in the mode it is in, in training with the statistics of the batch: early in a
    training its running statistics lag behind its weights and would teach nonsense.

    Args:
        network: The network; its mode, weights, buffers and gradients are left alone.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.shapes = network.signal_shapes()

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of a batch, without gradient."""
        before = [buffer.clone() for buffer in self.network.buffers()]
        with torch.no_grad():
            signals = self.network.observe(batch.inputs, wanted)
            for buffer, value in zip(self.network.buffers(), before, strict=True):
                buffer.copy_(value)
        return signals


class Reference:
    """The logits of one teacher on the splits that are evaluated, taken up once a process.

    Args:
        teacher: The teacher that every student of a study is compared with.
        data: The data set.
        device: Where the samples are put.
        known: Gives the logits [N, K] of a split where they are known already; else the teacher
            is asked.
    """

    def __init__(
        self,
        teacher: Teaching,
        data: Dataset,
        device: torch.device | str = "cpu",
        known: Callable[[SplitName], Tensor] | None = None,
    ) -> None:
        self._teacher = teacher
        self._data = data
        self._device = torch.device(device)
        self._known_logits = known
        self._known: dict[SplitName, Tensor] = {}

    def logits(self, split: SplitName, batch: int = 512) -> Tensor:
        """[N, K] float32 logits of a split without augmentation, in host memory."""
        if split not in self._known:
            ask = self._known_logits or partial(self._ask, batch=batch)
            self._known[split] = ask(split).cpu()
        return self._known[split]

    def _ask(self, split: SplitName, batch: int) -> Tensor:
        views = plain_views(self._data, split, self._device, self._teacher.inputs)
        parts = torch.arange(len(views), device=self._device).split(batch)
        return torch.cat([self._answer(views, part) for part in parts])

    def _answer(self, views: Views, index: Tensor) -> Tensor:
        batch = views.batch(index, epoch=0)
        logits = self._teacher.observe(batch, {Signal.LOGITS}).logits
        assert logits is not None
        return logits.float()
