"""Networks as a user writes them, for the family ``tests.training.own_networks:NAME``."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from kdsearch.training import ray_train

MARKER = "KDSEARCH_TEST_MARKER"
"""Environment variable with a file: once a process has died, how far the next one has come."""


def with_dropout(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(image_shape[0], 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


class KilledOnce(nn.Sequential):
    """Ends its process, the first time, at a given step of a training."""

    def __init__(self, step: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.step = step
        self.steps = 0

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self._count()
        return super().forward(images)

    def _count(self) -> None:
        self.steps += 1
        marker = Path(os.environ[MARKER])
        if marker.exists():
            marker.write_text(str(self.steps))
        elif self.steps == self.step:
            marker.touch()
            os._exit(1)


def killed_once(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A network that dies at step ``width``, and lets its worker keep every epoch."""
    ray_train.REPORT_SECONDS = 0.0
    return KilledOnce(int(width), *with_dropout(image_shape, classes, 1.0))


class AlwaysKilled(KilledOnce):
    """Ends its process at a given step of every training, and notes each time in a letter."""

    def _count(self) -> None:
        self.steps += 1
        if self.steps == self.step:
            with Path(f"{os.environ[MARKER]}-always").open("a") as file:
                file.write("x")
            os._exit(1)


def always_killed(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A network that dies at step ``width``."""
    return AlwaysKilled(int(width), *with_dropout(image_shape, classes, 1.0))


class Flattening(nn.Module):
    """Counts on the order of values in memory, as many a network does."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3, padding=1)
        self.head = nn.LazyLinear(classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        return self.head(maps.view(len(maps), -1))


def flattening(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A network with ``x.view(B, -1)`` behind a convolution."""
    network = Flattening(image_shape[0], classes)
    network(torch.zeros(1, *image_shape))
    return network
