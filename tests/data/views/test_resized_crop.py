"""The random resized crop against torchvision, Pillow and the published procedure."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import chisquare, kstest
from torchvision.transforms.v2 import functional as F  # noqa: N812

from kdsearch.data.views.draws import Draw
from kdsearch.data.views.random_streams import further_bits
from kdsearch.data.views.resized_crop import draw_boxes, random_resized_crop, resized
from tests.data.views.helpers import INDEX, MANY, bits, far_apart, random_images

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def stretched(number: int, ratio: tuple[float, float]) -> float:
    """The ratio that the lowest 12 bits of a number stand for."""
    low, high = map(math.log, ratio)
    return math.exp(((number & 4095) + 0.5) / 4096 * (high - low) + low)


def box_by_loop(
    place: int, sides: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """torchvision's procedure for one sample, one try after another."""
    height, width = sides
    one = bits(INDEX[place : place + 1])
    for number in further_bits(one(Draw.CROP_SHAPE), 10)[0].tolist():
        area = ((number >> 39) / 2**24 * (scale[1] - scale[0]) + scale[0]) * height * width
        wide = round(math.sqrt(area * stretched(number, ratio)))
        high = round(math.sqrt(area / stretched(number, ratio)))
        if 0 < wide <= width and 0 < high <= height:
            top = int(one(Draw.CROP_ROW)) % (height - high + 1)
            return top, int(one(Draw.CROP_COLUMN)) % (width - wide + 1), high, wide
    high, wide = height, width
    if width / height < ratio[0]:
        high = round(width / ratio[0])
    elif width / height > ratio[1]:
        wide = round(height * ratio[1])
    return (height - high) // 2, (width - wide) // 2, high, wide


@pytest.mark.parametrize("sides", [(7, 10), (32, 32), (50, 20)])
@pytest.mark.parametrize(
    ("scale", "ratio"),
    [
        (SCALE, RATIO),
        ((0.01, 0.02), (0.2, 5.0)),
        ((0.9, 1.0), (0.3, 0.4)),
        ((0.9, 1.0), (3.0, 4.0)),
        ((1.0, 1.0), (1.0, 1.0)),
    ],
)
def test_boxes_equal_a_loop(
    sides: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    found = draw_boxes(bits(), sides, scale, ratio).tolist()
    expected = [box_by_loop(place, sides, scale, ratio) for place in range(len(INDEX))]
    assert found == [list(box) for box in expected]


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("sides", [(32, 32), (40, 23)])
def test_parts_are_resized_as_torchvision_does(channels: int, sides: tuple[int, int]) -> None:
    images = random_images(channels, *sides)
    boxes = draw_boxes(bits(), sides, SCALE, RATIO)
    result = random_resized_crop(images.clone(), bits(), SCALE, RATIO)
    for found, image, box in zip(result, images, boxes.tolist(), strict=True):
        exact = F.resized_crop(image.float(), *box, list(sides))
        assert (found - exact).abs().max() <= 1.001  # it is rounded once, and a uint8 image twice
        _, share = far_apart(found, F.resized_crop(image, *box, list(sides)))
        assert share < 0.05


def test_parts_are_resized_as_pillow_does() -> None:
    images = random_images(3, 32, 24)
    boxes = draw_boxes(bits(), (32, 24), SCALE, RATIO)
    for found, image, box in zip(resized(images, boxes), images, boxes.tolist(), strict=True):
        top, left, height, width = box
        part = Image.fromarray(image.permute(1, 2, 0).numpy())
        part = part.crop((left, top, left + width, top + height))
        expected = np.asarray(part.resize((24, 32), Image.Resampling.BILINEAR))
        assert far_apart(found, torch.from_numpy(expected.copy()).permute(2, 0, 1))[0] <= 1


def test_the_whole_image_stays_as_it_is() -> None:
    images = random_images(3, 9, 9)
    assert torch.equal(random_resized_crop(images.clone(), bits(), (1, 1), (1, 1)), images)


def test_areas_and_ratios_are_those_asked_for() -> None:
    boxes = draw_boxes(bits(MANY), (300, 300), (0.1, 0.4), (0.5, 2.0)).double()
    top, left, height, width = boxes.unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 300).all()
    assert (left + width <= 300).all()
    share = (height * width / 300**2).numpy()
    assert share.min() >= 0.1 * 0.97
    assert share.max() <= 0.4 * 1.03
    assert kstest(share, "uniform", (0.1, 0.3)).statistic < 0.02
    turned = np.log2((width / height).numpy())
    assert np.abs(turned).max() <= 1.03
    assert kstest(turned, "uniform", (-1, 2)).statistic < 0.02
    assert abs(np.corrcoef(share, turned)[0, 1]) < 0.03


def test_places_are_uniform() -> None:
    # One size alone, 2 × 2 in 5 × 5: 16 places.
    boxes = draw_boxes(bits(MANY), (5, 5), (4 / 25, 4 / 25), (1.0, 1.0))
    assert boxes[:, 2:].unique().tolist() == [2]
    counts = torch.bincount(boxes[:, 0] * 4 + boxes[:, 1], minlength=16)
    assert chisquare(counts.numpy()).pvalue > 1e-3


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_crops_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(3, 20, 31), torch.tensor(order[:size])
    whole = random_resized_crop(images.clone(), bits(), SCALE, RATIO)
    part = random_resized_crop(images[chosen], bits(INDEX[chosen]), SCALE, RATIO)
    assert torch.equal(part, whole[chosen])


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    images = random_images(3, 40, 23)
    found = random_resized_crop(images.cuda(), bits(INDEX.cuda()), SCALE, RATIO)
    assert torch.equal(found.cpu(), random_resized_crop(images, bits(), SCALE, RATIO))
