"""A teacher that dies when asked, for the family ``tests.teacher_cache.mortal:dies_once``."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor, nn

from tests.training.own_networks import MARKER


class DiesOnce(nn.Sequential):
    """Ends its process when it is asked about a batch for the ``last``-th time, but only once."""

    def __init__(self, last: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.last = last
        self.asked = 0

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 2 and MARKER in os.environ:  # two images tell the shapes
            self._count(Path(os.environ[MARKER]))
        return super().forward(images)

    def _count(self, marker: Path) -> None:
        self.asked += 1
        if marker.exists():
            marker.write_text(str(self.asked))
        elif self.asked == self.last:
            marker.touch()
            os._exit(1)


def dies_once(image_shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """A network that dies at its ``width``-th batch."""
    channels, height, side = image_shape
    layers = nn.Flatten(), nn.Linear(channels * height * side, 16), nn.ReLU()
    return DiesOnce(int(width), *layers, nn.Linear(16, classes))
