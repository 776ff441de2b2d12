"""Changes of colour against torchvision, Pillow and the formulas, image by image."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from torch import Tensor
from torchvision.transforms.v2 import functional as F  # noqa: N812

from kdsearch.data.views import colour
from tests.data.views.helpers import far_apart, random_images

Change = Callable[[Tensor, Tensor], Tensor]

FACTORS = torch.tensor([0.0, 0.01, 0.3, 0.6, 0.9, 1.0, 1.1, 1.4, 1.99, 2.7, 0.5])
TORCHVISIONS = {
    colour.brightness: F.adjust_brightness,
    colour.contrast: F.adjust_contrast,
    colour.saturation: F.adjust_saturation,
    colour.sharpness: F.adjust_sharpness,
}


def smooth_images(channels: int, height: int = 23, width: int = 31) -> Tensor:
    """Random hues that change slowly, as those of pictures do."""
    small = random_images(channels, 4, 5).float()
    large = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    return large.round().to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("change", TORCHVISIONS, ids=lambda change: change.__name__)
def test_a_factor_of_each_image_does_what_torchvision_does(change: Change, channels: int) -> None:
    for images in (random_images(channels, 23, 31), smooth_images(channels)):
        result = change(images.clone(), FACTORS)
        for found, image, factor in zip(result, images, FACTORS.tolist(), strict=True):
            greatest, share = far_apart(found, TORCHVISIONS[change](image, factor))
            assert greatest <= 1
            assert share < 0.02


@pytest.mark.parametrize("change", TORCHVISIONS, ids=lambda change: change.__name__)
def test_the_factor_one_is_the_image(change: Change) -> None:
    images = random_images(3, 23, 31)
    assert torch.equal(change(images.clone(), torch.ones(len(images))), images)


@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
        (colour.sharpness, ImageEnhance.Sharpness),
    ],
    ids=["brightness", "contrast", "saturation", "sharpness"],
)
def test_a_factor_does_what_pillow_does(change: Change, enhance: type) -> None:
    """Which rounds the grey values and their mean to whole numbers."""
    images = smooth_images(3)
    result = change(images.clone(), FACTORS)
    for found, image, factor in zip(result, images, FACTORS.tolist(), strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        expected = np.asarray(enhance(picture).enhance(factor)).copy()
        assert far_apart(found, torch.from_numpy(expected).permute(2, 0, 1))[0] <= 3


@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(-0.5, 0.5, width=32))
def test_hue_is_that_of_the_colour_circle(pixel: tuple[int, int, int], turns: float) -> None:
    image = torch.tensor(pixel, dtype=torch.uint8).view(1, 3, 1, 1)
    found = colour.hue(image, torch.tensor([turns])).flatten().tolist()
    angle, share, value = colorsys.rgb_to_hsv(*(each / 255 for each in pixel))
    turned = colorsys.hsv_to_rgb((angle + turns) % 1, share, value)
    assert found == pytest.approx([255 * each for each in turned], abs=0.5 + 1e-3)


def test_hue_is_torchvisions() -> None:
    images = random_images(3, 23, 31)
    turns = torch.linspace(-0.5, 0.5, len(images))
    for found, image, turn in zip(colour.hue(images, turns), images, turns.tolist(), strict=True):
        exact = 255 * F.adjust_hue(image.float() / 255, turn)
        assert (found - exact).abs().max() <= 0.5 + 1e-2
        assert far_apart(found, F.adjust_hue(image, turn))[0] <= 1


def test_hue_leaves_grey_as_it_is_and_knows_the_pure_colours() -> None:
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, -1, -1)
    assert torch.equal(colour.hue(grey, torch.tensor([0.3])), grey)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(3, -1, -1, -1)
    turned = colour.hue(red, torch.tensor([1 / 3, -1 / 3, 0.5])).flatten(1).tolist()
    assert turned == [[0, 255, 0], [0, 0, 255], [0, 255, 255]]


@pytest.mark.parametrize("kept", range(9))
def test_posterize_is_torchvisions(kept: int) -> None:
    images = random_images()
    mask = torch.full((len(images),), 256 - (1 << (8 - kept)) if kept else 0).to(torch.uint8)
    assert torch.equal(colour.posterize(images, mask), F.posterize(images, kept))


def test_solarize_is_torchvisions() -> None:
    images = random_images()
    thresholds = torch.tensor([0, 1, 100, 128, 200, 254, 255, 7, 9, 11, 13], dtype=torch.uint8)
    result = colour.solarize(images, thresholds)
    for found, image, threshold in zip(result, images, thresholds.tolist(), strict=True):
        assert torch.equal(found, F.solarize(image, threshold))


def test_images_too_small_to_smooth_stay_as_they_are() -> None:
    images = random_images(3, 2, 9)
    assert torch.equal(colour.sharpness(images.clone(), FACTORS), images)


@pytest.mark.gpu
@pytest.mark.parametrize("change", [*TORCHVISIONS, colour.hue], ids=lambda change: change.__name__)
def test_a_cuda_device_gives_the_same_bits(change: Change) -> None:
    images = random_images(3, 23, 31)
    found = change(images.cuda(), FACTORS.cuda())
    assert torch.equal(found.cpu(), change(images.clone(), FACTORS))
