"""Who teaches: a frozen network, an average of several, or a network that is itself training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from kdsearch.data import Dataset, Views
from kdsearch.errors import MethodError
from kdsearch.models import Network, Signal, Signals, SignalShapes

SplitName = Literal["validation", "test"]


class Teaching(Protocol):
    """What a training asks of its teacher.

    Attributes:
        network: The network, for methods that take over weights.
        shapes: Shapes of its signals.
    """

    network: Network
    shapes: SignalShapes

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of normalised pictures [B, C, H, W], without gradient."""


class Teacher(Teaching):
    """A frozen network in eval mode.

    It is no ``nn.Module`` and registers nowhere, so no ``.train()`` of a parent can wake its batch
    normalisation and no optimiser or checkpoint of a student can pick up its weights.

    Args:
        network: The trained network; it is frozen in place.
        device: Where it answers.
    """

    def __init__(self, network: Network, device: torch.device | str = "cpu") -> None:
        self.network = network.to(device).eval().requires_grad_(False)
        self.shapes: SignalShapes = self.network.signal_shapes()

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of normalised pictures [B, C, H, W], without gradient."""
        with torch.no_grad():
            return self.network.observe(images, wanted)


def plain_views(data: Dataset, split: SplitName, device: torch.device) -> Views:
    """A split's pictures without augmentation."""
    pictures = data.validation if split == "validation" else data.test
    return Views(pictures.to(device), data.mean, data.std, None, 0)


def averaged_shapes(classes: int) -> SignalShapes:
    """What an average of teachers shows: logits alone, since inner signals cannot be averaged."""
    return SignalShapes(classes=classes, embedding=0, features=())


class AveragedTeachers(Teaching):
    """The mean of several teachers' logits.

    Its softmax is, at every temperature, the normalised geometric mean of the teachers'
    distributions, one of the two averages of Hinton, Vinyals & Dean 2015.

    Args:
        teachers: The teachers; ``network`` is the first one's.
    """

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        self.teachers = list(teachers)
        self.network = self.teachers[0].network
        self.shapes = averaged_shapes(self.network.classes)

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The mean logits [B, K] of pictures [B, C, H, W], without gradient.

        Raises:
            MethodError: Another signal is wanted.
        """
        if set(wanted) - {Signal.LOGITS}:
            raise MethodError("an average of teachers has logits alone; let one teacher teach")
        answers = [teacher.observe(images, wanted).logits for teacher in self.teachers]
        return Signals(logits=torch.stack([z for z in answers if z is not None]).mean(dim=0))


class Peer(Teaching):
    """A network that teaches while it is trained itself.

    It answers in the mode it is in, in training with the statistics of the batch: early in a
    training its running statistics lag behind its weights and would teach nonsense.

    Args:
        network: The network; its mode, weights, buffers and gradients are left alone.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.shapes = network.signal_shapes()

    def observe(self, images: Tensor, wanted: Collection[Signal]) -> Signals:
        """The wanted signals of normalised pictures [B, C, H, W], without gradient."""
        before = [buffer.clone() for buffer in self.network.buffers()]
        with torch.no_grad():
            answers = self.network.observe(images, wanted)
            for buffer, value in zip(self.network.buffers(), before, strict=True):
                buffer.copy_(value)
        return answers


class Reference:
    """The logits of one teacher on the splits that are evaluated, worked out once a process.

    Args:
        teacher: The teacher that every student of a study is compared with.
        data: The data set.
        device: Where the pictures are put.
    """

    def __init__(
        self, teacher: Teaching, data: Dataset, device: torch.device | str = "cpu"
    ) -> None:
        self._teacher = teacher
        self._data = data
        self._device = torch.device(device)
        self._known: dict[SplitName, Tensor] = {}

    def logits(self, split: SplitName, batch: int = 512) -> Tensor:
        """[N, K] float32 logits of a split's pictures without augmentation."""
        if split not in self._known:
            views = plain_views(self._data, split, self._device)
            parts = torch.arange(len(views), device=self._device).split(batch)
            self._known[split] = torch.cat([self._answer(views, part) for part in parts])
        return self._known[split]

    def _answer(self, views: Views, index: Tensor) -> Tensor:
        images, _ = views.batch(index, epoch=0)
        logits = self._teacher.observe(images, {Signal.LOGITS}).logits
        assert logits is not None
        return logits.float()
