"""What a model family states about itself, and the width rule that all families share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kdsearch.errors import ModelError
from kdsearch.models.inputs import ImageShape, Inputs, only_image
from kdsearch.models.network import Network
from kdsearch.spec.concrete import ModelConfig


@dataclass(frozen=True)
class Family:
    """A kind of network with its width and depth knobs.

    Attributes:
        name: What the spec calls it.
        about: One line on what it is.
        width: What the width multiplies.
        depth: What the depth counts and which values are valid.
        default_depth: The depth when none is given; ``None`` where there is no depth to choose.
        depths: The valid depths; empty where there is no depth to choose.
        smallest_side: The shortest side, in pixels, of an image that the family takes;
            ``None`` where it takes any inputs, and not one image alone.
        build: Makes the network from its configuration, its inputs and the number of outputs;
            :func:`~kdsearch.models.build_network` has checked the depth and the inputs by then.
    """

    name: str
    about: str
    width: str
    depth: str
    default_depth: int | None
    depths: Sequence[int]
    smallest_side: int | None
    build: Callable[[ModelConfig, Inputs, int], Network]

    def check(self, config: ModelConfig, inputs: Inputs) -> None:
        """Refuse a depth or inputs that the family cannot take.

        Raises:
            ModelError: With the nearest valid depths, the inputs, or the smallest side.
        """
        self._check_depth(config.depth)
        if self.smallest_side is None:
            return
        _, height, width = only_image(self.name, inputs)
        if min(height, width) < self.smallest_side:
            raise ModelError(
                f"{self.name} cannot take images of {height}×{width} pixels; "
                f"each side must be at least {self.smallest_side}, or choose the family mlp"
            )

    def _check_depth(self, depth: int | None) -> None:
        if depth is None or depth in self.depths:
            return
        if not self.depths:
            raise ModelError(f"{self.name} has no depth to choose; leave depth out")
        nearest = sorted(sorted(self.depths, key=lambda valid: abs(valid - depth))[:2])
        raise ModelError(
            f"{self.name} has no depth {depth}; the nearest valid depths are "
            f"{' and '.join(str(valid) for valid in nearest)} ({self.depth})"
        )


def of_one_image(
    build: Callable[[ModelConfig, ImageShape, int], Network],
) -> Callable[[ModelConfig, Inputs, int], Network]:
    """What builds the networks of a family that takes one image, from the inputs."""

    def built(config: ModelConfig, inputs: Inputs, outputs: int) -> Network:
        return build(config, only_image(config.family, inputs), outputs)

    return built


def scaled(
    config: ModelConfig,
    bases: Sequence[int],
    step: int = 1,
    least: float = 0.0,
    most: float = math.inf,
) -> tuple[int, ...]:
    """Channel counts after the width multiplier: base × width, rounded half up to whole steps.

    With ``round_to`` they are multiples of it, at least one; up to width 1 no count becomes larger
    than its base, where that holds a multiple.

    Args:
        config: The network's width and ``round_to``, and the family's name for the message.
        bases: Channel counts at width 1, multiples of the step.
        step: What the counts are multiples of in any case.
        least: The width that counts for these layers at least.
        most: The width that counts for them at most.

    Raises:
        ModelError: A layer would be empty; the message gives the smallest width that works.
    """
    width = min(max(config.width, least), most)
    if config.round_to is not None:
        unit = math.lcm(step, config.round_to)
        return tuple(_multiple(base, width, unit) for base in bases)
    counts = tuple(math.floor(base / step * width + 0.5) * step for base in bases)
    if min(counts) < 1:
        # Rounded up, so that the width in the message does work.
        smallest = math.ceil(0.5 * step / min(bases) * 1e5) / 1e5
        raise ModelError(
            f"{config.family} at width {config.width:g} would have a layer without channels; "
            f"the smallest width that works is {smallest:g}"
        )
    return counts


def _multiple(base: int, width: float, unit: int) -> int:
    """base × width as a multiple of the unit, at least one."""
    count = max(math.floor(base * width / unit + 0.5), 1)
    return unit * (count if width > 1 else min(count, max(base // unit, 1)))
