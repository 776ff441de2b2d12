"""Cutout and random erasing against loops with the same draws, and their distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, kstest

from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.erasing import cutout_, random_erasing_
from kdsearch.data.views.random_streams import further_bits, randint
from tests.data.views.helpers import EPOCH, INDEX, MANY, SEED, bits, drawn, numbers, random_images

SCALE, RATIO = (0.02, 0.33), (0.3, 3.3)


def cutout(images: torch.Tensor, side: int, drawn: Bits) -> torch.Tensor:
    return cutout_(images.float().clone(), side, drawn)


def erased(
    images: torch.Tensor,
    drawn: Bits,
    probability: float = 1.0,
    scale: tuple[float, float] = SCALE,
    ratio: tuple[float, float] = RATIO,
) -> torch.Tensor:
    return random_erasing_(images.float().clone(), drawn, probability, scale, ratio)


@pytest.mark.parametrize("side", [1, 2, 3, 6, 7])
def test_cutout_equals_a_loop(side: int) -> None:
    images = random_images().float()
    result = cutout(images, side, bits()).numpy()
    rows, columns = drawn(Draw.CUTOUT_ROW, 7), drawn(Draw.CUTOUT_COLUMN, 10)
    for place, image in enumerate(images.numpy()):
        top, left = rows[place] - side // 2, columns[place] - side // 2
        for y in range(7):
            for x in range(10):
                inside = top <= y < top + side and left <= x < left + side
                expected = np.zeros(3) if inside else image[:, y, x]
                np.testing.assert_array_equal(result[place, :, y, x], expected)


def test_cutout_away_from_the_border_blanks_the_whole_square() -> None:
    index = torch.arange(200)
    blanked = (cutout(torch.ones(200, 1, 20, 20), 5, bits(index)) == 0).sum(dim=(1, 2, 3))
    rows, columns = (randint(SEED, EPOCH, index, draw, 20) for draw in (3, 4))
    inside = (rows >= 2) & (rows < 18) & (columns >= 2) & (columns < 18)
    assert inside.sum() > 50
    assert (blanked[inside] == 25).all()
    assert (blanked[~inside] < 25).all()
    assert (blanked >= 9).all()


def test_no_cutout_changes_nothing() -> None:
    images = random_images()
    assert torch.equal(cutout(images, 0, bits()), images.float())


def box_by_loop(place: int, sides: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """torchvision's procedure for one sample, one try after another."""
    height, width = sides
    low, high = map(math.log, RATIO)
    one = bits(INDEX[place : place + 1])
    for number in further_bits(one(Draw.ERASED_SHAPE), 10)[0].tolist():
        area = ((number >> 39) / 2**24 * (SCALE[1] - SCALE[0]) + SCALE[0]) * height * width
        ratio = math.exp(((number & 4095) + 0.5) / 4096 * (high - low) + low)
        high_side, wide_side = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if high_side < height and wide_side < width:
            top = int(one(Draw.ERASED_ROW)) % (height - high_side + 1)
            left = int(one(Draw.ERASED_COLUMN)) % (width - wide_side + 1)
            return top, left, high_side, wide_side
    return None


@pytest.mark.parametrize("probability", [0.5, 1.0])
@pytest.mark.parametrize("sides", [(7, 10), (32, 32), (3, 40)])
def test_erasing_equals_a_loop(sides: tuple[int, int], probability: float) -> None:
    images = random_images(3, *sides).float()
    result = erased(images, bits(), probability)
    for place, image in enumerate(images):
        expected = image.clone()
        box = box_by_loop(place, sides)
        if box is not None and (numbers(Draw.ERASING)[place] >> 39) / 2**24 < probability:
            top, left, height, width = box
            expected[:, top : top + height, left : left + width] = 0
        assert torch.equal(result[place], expected)


def test_erased_areas_ratios_and_shares_are_those_asked_for() -> None:
    images = torch.ones(5000, 1, 100, 100)
    blank = erased(images, bits(MANY[:5000]), 0.3, (0.05, 0.2), (0.5, 2.0)) == 0
    some = blank.any(dim=3).any(dim=2)[:, 0]
    assert binomtest(int(some.sum()), 5000, 0.3).pvalue > 1e-3
    height = blank.any(dim=3).sum(dim=2)[some, 0].double().numpy()
    width = blank.any(dim=2).sum(dim=2)[some, 0].double().numpy()
    area = blank.sum(dim=(1, 2, 3))[some].double().numpy()
    np.testing.assert_array_equal(area, height * width)
    assert kstest(area / 1e4, "uniform", (0.05, 0.15)).pvalue > 1e-3
    turned = np.log2(height / width)
    assert np.abs(turned).max() <= 1.1
    assert kstest(turned, "uniform", (-1, 2)).statistic < 0.04


def test_erased_places_are_uniform() -> None:
    # One size alone, 2 × 2 in 5 × 5: 16 places.
    blank = erased(torch.ones(20_000, 1, 5, 5), bits(MANY), 1.0, (4 / 25, 4 / 25), (1.0, 1.0)) == 0
    first = blank.flatten(1).float().argmax(dim=1)
    counts = torch.bincount(first, minlength=25).view(5, 5)[:4, :4]
    assert counts.sum() == 20_000
    assert chisquare(counts.flatten().numpy()).pvalue > 1e-3


def test_no_rectangle_reaches_from_side_to_side() -> None:
    images = random_images(3, 6, 6).float()
    assert torch.equal(erased(images, bits(), 1.0, (1.0, 1.0), (1.0, 1.0)), images)


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_erasures_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(), torch.tensor(order[:size])
    some = bits(INDEX[chosen])
    assert torch.equal(cutout(images[chosen], 4, some), cutout(images, 4, bits())[chosen])
    whole = erased(images, bits(), 0.7)
    assert torch.equal(erased(images[chosen], some, 0.7), whole[chosen])


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    images = random_images()
    found = erased(images.cuda(), bits(INDEX.cuda()), 0.7)
    assert torch.equal(found.cpu(), erased(images, bits(), 0.7))
