"""Crops, flips and rotations against loops and torchvision, with the same draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812

from kdsearch.data.views.draws import Draw
from kdsearch.data.views.geometry import (
    crop_and_flip,
    fixed_point,
    rotated,
    rotation,
    vertical_flip,
)
from kdsearch.data.views.resampling import affine
from tests.data.views.helpers import INDEX, MANY, bits, drawn, far_apart, numbers, random_images


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_crop_and_flip_equal_a_loop(padding: int, flip: bool) -> None:
    images = random_images()
    result = crop_and_flip(images, padding, flip, bits()).numpy()
    rows = drawn(Draw.CROP_ROW, 2 * padding + 1)
    columns = drawn(Draw.CROP_COLUMN, 2 * padding + 1)
    mirrored = drawn(Draw.FLIP, 2)
    for place, image in enumerate(images.numpy()):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        top, left = rows[place], columns[place]
        expected = padded[:, top : top + 7, left : left + 10]
        if flip and mirrored[place]:
            expected = expected[:, :, ::-1]
        np.testing.assert_array_equal(result[place], expected)


def test_vertical_flip_equals_a_loop() -> None:
    images = random_images()
    result = vertical_flip(images, bits()).numpy()
    mirrored = drawn(Draw.VERTICAL_FLIP, 2)
    assert set(mirrored) == {0, 1}
    for found, image, turned in zip(result, images.numpy(), mirrored, strict=True):
        np.testing.assert_array_equal(found, image[:, ::-1] if turned else image)


def test_crops_and_flips_are_uniform_and_independent() -> None:
    # An image of one bright pixel tells where the crop was taken and whether it was mirrored.
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[..., 2, 1] = 1
    moved = crop_and_flip(image.expand(20_000, -1, -1, -1), 1, True, bits(MANY))
    place = moved.flatten(1).float().argmax(dim=1)
    assert (moved.flatten(1).sum(dim=1) == 1).all()
    # Rows 1–3 are equally likely; columns 0, 1, 2 come from crops, 4, 3, 2 from mirrored ones.
    counts = torch.bincount(place, minlength=25).view(5, 5)[1:4]
    expected = np.tile(np.array([1, 1, 2, 1, 1]) * 20_000 / 18, (3, 1))
    assert counts.sum() == 20_000
    assert chisquare(counts.flatten().numpy(), expected.flatten()).pvalue > 1e-3


def test_a_crop_by_the_largest_padding_holds_some_of_the_image() -> None:
    ones = torch.ones(3000, 1, 8, 12)
    assert (crop_and_flip(ones, 7, False, bits(MANY[:3000])).sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("degrees", [5.0, 180.0])
def test_rotation_is_torchvisions(channels: int, degrees: float) -> None:
    images = random_images(channels, 21, 30)
    result = rotation(images.clone(), bits(), degrees)
    for found, image, number in zip(result, images, numbers(Draw.ROTATION), strict=True):
        angle = (((number >> 51) + 0.5) / 4096 * 2 - 1) * degrees
        expected = F.rotate(image, angle, InterpolationMode.BILINEAR)
        greatest, share = far_apart(found, expected)
        assert greatest <= 1
        assert share < 0.01


def test_rotations_are_uniform_up_to_the_angle_asked_for() -> None:
    # Values that grow with the column: what lies right above the middle tells the angle.
    ramp = (128 + 5 * torch.arange(-20, 21)).to(torch.uint8).expand(5000, 1, 41, 41)
    result = rotation(ramp.clone(), bits(MANY[:5000]), 40.0)
    offset = (result[:, 0, 0, 20].double() - 128) / 5 / 20  # the sine of the angle
    angles = np.degrees(np.arcsin(offset.numpy()))
    assert np.abs(angles).max() <= 40.5
    assert kstest(angles, "uniform", (-40, 80)).statistic < 0.03


@pytest.mark.parametrize("quarter", range(4))
def test_rotation_by_right_angles_moves_pixels_alone(quarter: int) -> None:
    images = random_images(3, 9, 9)
    maps = fixed_point([rotated(90.0 * quarter)]).expand(len(images), -1)
    assert torch.equal(affine(images, maps), images.rot90(quarter, (2, 3)))


def test_affine_maps_of_closed_form() -> None:
    images = random_images(3, 8, 11)
    identity, right, half, gone = (
        (1.0, 0.0, shift, 0.0, 1.0, 0.0) for shift in (0.0, -3.0, 0.5, 1e6)
    )
    found = affine(images[:4], fixed_point([identity, right, half, gone]))
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[1, ..., 3:], images[1, ..., :-3])
    assert not found[1, ..., :3].any()
    between = (images[2, ..., :-1].double() + images[2, ..., 1:]) / 2
    np.testing.assert_array_equal(found[2, ..., :-1], between.round())
    np.testing.assert_array_equal(found[2, ..., -1], (images[2, ..., -1].double() / 2).round())
    assert not found[3].any()


@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-9, 9), min_size=2, max_size=2),
)
def test_affine_maps_equal_the_formula(matrix: list[float], shift: list[float]) -> None:
    """Bilinear interpolation pixel by pixel in double precision, black outside."""
    image = random_images(1, 5, 6)[:1]
    a, b, c, d = matrix
    found = affine(image, fixed_point([(a, b, shift[0], c, d, shift[1])]))[0, 0]
    values = np.pad(image[0, 0].numpy().astype(float), 1)
    for row in range(5):
        for column in range(6):
            x, y = column - 2.5, row - 2
            left = min(max(a * x + b * y + shift[0] + 2.5 + 1, 0), 7)
            top = min(max(c * x + d * y + shift[1] + 2 + 1, 0), 6)
            i, j = min(math.floor(top), 5), min(math.floor(left), 6)
            down, across = top - i, left - j
            above = (1 - across) * values[i, j] + across * values[i, j + 1]
            below = (1 - across) * values[i + 1, j] + across * values[i + 1, j + 1]
            expected = (1 - down) * above + down * below
            assert abs(int(found[row, column]) - expected) <= 0.5 + 0.02


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_changes_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(), torch.tensor(order[:size])
    some = bits(INDEX[chosen])
    whole = crop_and_flip(images, 3, True, bits())
    assert torch.equal(crop_and_flip(images[chosen], 3, True, some), whole[chosen])
    whole = rotation(images, bits(), 90)
    assert torch.equal(rotation(images[chosen], some, 90), whole[chosen])


@pytest.mark.parametrize(("seed", "epoch"), [(18, 3), (17, 4)])
def test_changes_depend_on_seed_and_epoch(seed: int, epoch: int) -> None:
    images, others = random_images(), bits(INDEX, seed, epoch)
    first = crop_and_flip(images, 3, True, bits())
    assert not torch.equal(first, crop_and_flip(images, 3, True, others))
    assert not torch.equal(rotation(images, bits(), 9), rotation(images, others, 9))


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    images = random_images()
    cropped = crop_and_flip(images.cuda(), 3, True, bits(INDEX.cuda()))
    assert torch.equal(cropped.cpu(), crop_and_flip(images, 3, True, bits()))
    turned = rotation(images.cuda(), bits(INDEX.cuda()), 180)
    assert torch.equal(turned.cpu(), rotation(images, bits(), 180))
