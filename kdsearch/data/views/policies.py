"""Operations chosen at random: TrivialAugment and RandAugment.

The operations, their strengths and their signs are those of torchvision's TrivialAugmentWide and
RandAugment with 31 strengths; shears, shifts and rotations are read bilinearly, black outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import torch
from torch import Tensor

from kdsearch.data.views import colour
from kdsearch.data.views.draws import Bits, Draw, change_
from kdsearch.data.views.geometry import fixed_point, rotated
from kdsearch.data.views.random_streams import further_bits
from kdsearch.data.views.resampling import affine

STRENGTHS = 31


class Operation(IntEnum):
    """What a policy may do to an image."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOUR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTOCONTRAST = 12
    EQUALIZE = 13


@dataclass(frozen=True)
class Space:
    """The strongest that a policy may do.

    Attributes:
        shear: Tangent of the angle.
        shift: Pixels, or where ``relative`` a share of the side.
        relative: Whether shifts grow with the image.
        rotation: Degrees.
        colour: By how much a factor of brightness, colour, contrast or sharpness differs from 1.
        posterize: Bits that are dropped.
    """

    shear: float
    shift: float
    relative: bool
    rotation: float
    colour: float
    posterize: int


WIDE = Space(0.99, 32.0, False, 135.0, 0.99, 6)
"""Of TrivialAugment (Müller & Hutter 2021, "wide")."""

NARROW = Space(0.3, 150.0 / 331.0, True, 30.0, 0.9, 4)
"""Of RandAugment (Cubuk et al. 2020)."""


@dataclass(frozen=True)
class Choice:
    """What is done to each image [B]: an operation, one of 31 strengths, and whether its sign is
    negative, 0 or 1; all int64."""

    operation: Tensor
    strength: Tensor
    negative: Tensor


def trivial_augment(images: Tensor, bits: Bits) -> Tensor:
    """One operation of a random strength (Müller & Hutter 2021), on [B, 1 or 3, H, W] uint8."""
    return operate(images, draw_choices(bits, 1)[0], WIDE)


def rand_augment(images: Tensor, bits: Bits, operations: int, magnitude: int) -> Tensor:
    """Some operations of one strength in turn (Cubuk et al. 2020), on [B, 1 or 3, H, W] uint8."""
    for choice in draw_choices(bits, operations):
        strength = torch.full_like(choice.strength, magnitude)
        images = operate(images, Choice(choice.operation, strength, choice.negative), NARROW)
    return images


def draw_choices(bits: Bits, count: int) -> list[Choice]:
    """So many choices in turn for each sample, every one as likely."""
    drawn = further_bits(bits(Draw.POLICY), count)
    parts = drawn >> 40, drawn >> 20 & ((1 << 20) - 1), drawn & 1
    operation, strength, negative = parts[0] % len(Operation), parts[1] % STRENGTHS, parts[2]
    return [
        Choice(operation[:, each], strength[:, each], negative[:, each]) for each in range(count)
    ]


def operate(images: Tensor, choice: Choice, space: Space) -> Tensor:
    """Do to each image what was chosen for it.

    Args:
        images: [B, 1 or 3, H, W] uint8; the colour of grey ones stays as it is.
        choice: What is chosen.
        space: What the strengths mean.

    Returns:
        [B, C, H, W] uint8.
    """
    height, width = images.shape[2:]
    tables = _tables(space, (height, width), images.device)
    maps = tables.maps[choice.operation, choice.strength, choice.negative]
    moved = (choice.operation >= Operation.SHEAR_X) & (choice.operation <= Operation.ROTATE)
    images = change_(images, moved, affine, maps)
    for operation, change, strengths in _colours(tables, choice):
        images = change_(images, choice.operation == operation, change, strengths)
    return images


@dataclass(frozen=True)
class _Tables:
    """What strengths mean: maps [14, 31, 2, 6], factors [31, 2], masks and thresholds [31]."""

    maps: Tensor
    factors: Tensor
    masks: Tensor
    thresholds: Tensor


@lru_cache(maxsize=8)
def _tables(space: Space, sides: tuple[int, int], device: torch.device) -> _Tables:
    """Made on the CPU, since sines differ by device."""
    maps = fixed_point(
        [
            _map(operation, sign * strength, sides)
            for operation in Operation
            for strength in _strengths(operation, space, sides)
            for sign in (1, -1)
        ]
    ).view(len(Operation), STRENGTHS, 2, 6)
    factor = torch.linspace(0.0, space.colour, STRENGTHS)
    dropped = torch.arange(STRENGTHS) / ((STRENGTHS - 1) / space.posterize)
    dropped = 8 - (8 - dropped).round().to(torch.int64)
    thresholds = (torch.linspace(1.0, 0.0, STRENGTHS) * 255).ceil()
    return _Tables(
        maps.to(device),
        torch.stack([1 + factor, 1 - factor], dim=1).to(device),
        (256 - (1 << dropped)).to(torch.uint8).to(device),
        thresholds.to(torch.uint8).to(device),
    )


def _strengths(operation: Operation, space: Space, sides: tuple[int, int]) -> list[float]:
    """The 31 strengths of a map: a tangent, whole pixels, or degrees; 0 for what is none."""
    height, width = sides
    most = {
        Operation.SHEAR_X: space.shear,
        Operation.SHEAR_Y: space.shear,
        Operation.TRANSLATE_X: space.shift * width if space.relative else space.shift,
        Operation.TRANSLATE_Y: space.shift * height if space.relative else space.shift,
        Operation.ROTATE: space.rotation,
    }
    values: list[float] = torch.linspace(0.0, most.get(operation, 0.0), STRENGTHS).tolist()
    if operation in (Operation.TRANSLATE_X, Operation.TRANSLATE_Y):
        return [math.trunc(value) for value in values]
    return values


def _map(operation: Operation, strength: float, sides: tuple[int, int]) -> tuple[float, ...]:
    """From a pixel's place in the result to its place in the image, both from the centre.

    Shears leave the first row or column where it is.
    """
    height, width = sides
    if operation == Operation.SHEAR_X:
        return 1.0, strength, strength * height / 2, 0.0, 1.0, 0.0
    if operation == Operation.SHEAR_Y:
        return 1.0, 0.0, 0.0, strength, 1.0, strength * width / 2
    if operation == Operation.TRANSLATE_X:
        return 1.0, 0.0, -strength, 0.0, 1.0, 0.0
    if operation == Operation.TRANSLATE_Y:
        return 1.0, 0.0, 0.0, 0.0, 1.0, -strength
    return rotated(strength)


_Change = Callable[[Tensor, Tensor], Tensor]


def _colours(tables: _Tables, choice: Choice) -> list[tuple[Operation, _Change, Tensor]]:
    """Every operation on colours, with each sample's strength [B] if it were chosen."""
    # Imported late: torchvision takes seconds to load, and only policies need it.
    from torchvision.transforms.v2 import functional

    factors = tables.factors[choice.strength, choice.negative]
    return [
        (Operation.BRIGHTNESS, colour.brightness, factors),
        (Operation.COLOUR, colour.saturation, factors),
        (Operation.CONTRAST, colour.contrast, factors),
        (Operation.SHARPNESS, colour.sharpness, factors),
        (Operation.POSTERIZE, colour.posterize, tables.masks[choice.strength]),
        (Operation.SOLARIZE, colour.solarize, tables.thresholds[choice.strength]),
        (Operation.AUTOCONTRAST, lambda some, _: functional.autocontrast(some), choice.strength),
        (Operation.EQUALIZE, lambda some, _: functional.equalize(some), choice.strength),
    ]
