"""Networks and methods as users write them, some of which cannot be trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kdsearch.methods import Hyperparameter, Method
from kdsearch.models import Signal

Build = Callable[..., nn.Module]


class Base(nn.Module):
    """A block, pooling and a classifier."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, width: float) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(image_shape[0], 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def maps(self, images: Tensor) -> Tensor:
        return self.block(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.maps(images).mean(dim=(2, 3)))


class Frozen(Base):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.requires_grad_(False)


class Detached(Base):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).detach()


class FailsInTraining(Base):
    def maps(self, images: Tensor) -> Tensor:
        if self.training:
            raise KeyError("no such layer")
        return super().maps(images)


class OneValue(Base):
    """Normalises the mean of a batch: one value a channel."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.maps(images).mean(dim=(2, 3))
        return self.head(pooled + self.norm(pooled.mean(dim=0, keepdim=True)))


class Normalised(Base):
    """Normalises pooled maps: as many values a channel as there are images."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.norm(self.maps(images).mean(dim=(2, 3))))


class Setting:
    """What nobody else can read from a file."""


class Unpackable(Base):
    def get_extra_state(self) -> Any:
        return Setting()

    def set_extra_state(self, state: Any) -> None:
        assert isinstance(state, Setting)


class Counting(Base):
    """Has learned a number that is no tensor, and answers by it."""

    steps = 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        return super().forward(images) + torch.arange(10) * self.steps

    def get_extra_state(self) -> Any:
        return {"steps": self.steps}

    def set_extra_state(self, state: Any) -> None:
        self.steps = state["steps"]


class Listed(Base):
    """Keeps a layer in a plain list, so that nobody knows of its weights."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.more = [nn.Conv2d(8, 8, 1)]

    def maps(self, images: Tensor) -> Tensor:
        return self.more[0](super().maps(images))


class Remembering(Base):
    """Keeps the graph of the step before."""

    before: Tensor | float = 0.0

    def maps(self, images: Tensor) -> Tensor:
        found = super().maps(images)
        if self.training:
            found = self.before = found + self.before
        return found


class Skipping(Base):
    """Skips its one block at random in training."""

    def maps(self, images: Tensor) -> Tensor:
        if self.training and torch.rand(()) < 0.5:
            return images.expand(-1, 8, -1, -1)
        return super().maps(images)


class Rooted(Base):
    """Has the root of zero in it, whose gradient is infinite."""

    def maps(self, images: Tensor) -> Tensor:
        return super().maps(images) + (0 * self.head.bias.sum()).sqrt()


class Infinite(Base):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) / 0.0


class Casting(Base):
    """Has float64 weights and casts its images."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.double())


class Fixed(Base):
    """Keeps a setting that is no tensor."""

    def get_extra_state(self) -> Any:
        return {"version": 3, "names": ["a", "b"]}

    def set_extra_state(self, state: Any) -> None:
        assert state == {"version": 3, "names": ["a", "b"]}


class Drawing(Base):
    """Draws at random in evaluation too."""

    def forward(self, images: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(self.maps(images).mean(dim=(2, 3)), 0.5))


class Bounded(Base):
    """Returns what a function makes of its logits."""

    function: ClassVar[Callable[[Tensor], Tensor]]

    def forward(self, images: Tensor) -> Tensor:
        return type(self).function(super().forward(images))


class Softmax(Bounded):
    function = nn.Softmax(dim=1)


class LogSoftmax(Bounded):
    function = nn.LogSoftmax(dim=1)


class Sigmoid(Bounded):
    function = nn.Sigmoid()


class Positive(Base):
    """Has small positive logits before it is trained."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        nn.init.constant_(self.head.bias, 0.5)
        nn.init.normal_(self.head.weight, std=0.01)


def half(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return Base(image_shape, classes, width).half()


def brain(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return Base(image_shape, classes, width).bfloat16()


def double(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return Base(image_shape, classes, width).double()


def fails_when_wide(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return (FailsInTraining if width > 1 else Base)(image_shape, classes, width)


class Reads(Method):
    name, kind, paper = "reads", "logit", "our own"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(1.0, None, "weight")}

    def forward(self, student: Any, teacher: Any, targets: Any, progress: float) -> Any:
        return {"reads": (student.logits - teacher.logits).square().mean()}


class Misreads(Reads):
    def forward(self, student: Any, teacher: Any, targets: Any, progress: float) -> Any:
        return {"reads": (student.logits - teacher.embedding).square().mean()}


class Unsaved(Reads):
    def get_extra_state(self) -> Any:
        return Setting()

    def set_extra_state(self, state: Any) -> None:
        assert isinstance(state, Setting)


def linear(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    channels, height, side = image_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * side, classes))


def linear_softmax(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    return nn.Sequential(*linear(image_shape, classes, width), nn.Softmax(dim=1))


def layer_norm(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Normalises over all channels, so that without some the others change."""
    inputs, units = math.prod(image_shape), round(8 * width)
    layers = (nn.Linear(inputs, units), nn.LayerNorm(units), nn.Linear(units, classes))
    return nn.Sequential(nn.Flatten(), *layers)
