"""What is refused, which changes are made in which order, and draws that no two changes share."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from kdsearch.data.views.augment import check_augmentation, erasures, pixel_changes
from kdsearch.data.views.draws import Draw
from kdsearch.data.views.geometry import crop_and_flip, rotation, vertical_flip
from kdsearch.data.views.jitter import color_jitter
from kdsearch.data.views.policies import rand_augment, trivial_augment
from kdsearch.data.views.resized_crop import random_resized_crop
from kdsearch.errors import DataError
from kdsearch.spec.augmentation import Augmentation, ColorJitter, RandomResizedCrop
from tests.data.views.helpers import bits, random_images


def test_no_two_draws_share_a_number() -> None:
    assert len({draw.value for draw in Draw}) == len(Draw.__members__)
    assert min(Draw) >= 0  # the order of an epoch is draw -1


@pytest.mark.parametrize(
    ("augment", "channels", "sentence"),
    [
        ({"crop": 8}, 3, r"data\.augment\.crop \(8\) must be below .* \(8×12\)"),
        ({"cutout": 9}, 3, r"data\.augment\.cutout \(9\) must not exceed .* \(8×12\)"),
        (
            {"color_jitter": {"saturation": 0.1}},
            1,
            r"augment\.color_jitter\.saturation needs RGB images, and these have 1 channel; remove",
        ),
        ({"color_jitter": {"hue": 0.1}}, 1, r"augment\.color_jitter\.hue needs RGB images"),
        (
            {"color_jitter": {"brightness": 0.1}},
            4,
            r"augment\.color_jitter needs grey or RGB images, and these have 4 channels; remove it",
        ),
        ({"trivial_augment": True}, 2, r"augment\.trivial_augment needs grey or RGB images"),
        ({"rand_augment": {}}, 2, r"augment\.rand_augment needs grey or RGB images"),
    ],
)
def test_changes_that_the_images_cannot_have_are_refused(
    augment: dict[str, Any], channels: int, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        check_augmentation(Augmentation(**augment), (channels, 8, 12), "data.augment")


@pytest.mark.parametrize(
    ("augment", "channels"),
    [
        ({"crop": 7, "cutout": 8}, 3),
        ({"color_jitter": {"brightness": 1, "contrast": 1}, "trivial_augment": True}, 1),
        ({"color_jitter": {"saturation": 1, "hue": 0.5}, "rand_augment": {}}, 3),
        ({"random_resized_crop": {}, "rotation": 180, "random_erasing": {}, "cutmix": 1}, 5),
    ],
)
def test_the_largest_possible_changes_are_accepted(augment: dict[str, Any], channels: int) -> None:
    check_augmentation(Augmentation(**augment), (channels, 8, 12), "data.augment")


def test_nothing_asked_for_is_no_change() -> None:
    assert pixel_changes(Augmentation()) == []
    assert erasures(Augmentation()) == []


def test_changes_come_in_their_order_and_travel_to_other_processes() -> None:
    crop, jitter = {"scale": (0.2, 1.0), "ratio": (0.5, 2.0)}, {"brightness": 0.5, "hue": 0.2}
    augment = Augmentation(
        random_resized_crop=RandomResizedCrop(**crop),
        flip=True,
        vertical_flip=True,
        rotation=30,
        trivial_augment=True,
        color_jitter=ColorJitter(**jitter),
    )
    expected = random_resized_crop(random_images(), bits(), **crop)
    expected = vertical_flip(crop_and_flip(expected, 0, True, bits()), bits())
    expected = trivial_augment(rotation(expected, bits(), 30), bits())
    expected = color_jitter(expected, bits(), ColorJitter(**jitter))
    found = random_images()
    for change in pickle.loads(pickle.dumps(pixel_changes(augment))):
        found = change(found, bits())
    assert torch.equal(found, expected)

    augment = Augmentation(crop=2, rand_augment={"operations": 3, "magnitude": 30})  # type: ignore[arg-type]
    found = random_images()
    for change in pixel_changes(augment):
        found = change(found, bits())
    cropped = crop_and_flip(random_images(), 2, False, bits())
    assert torch.equal(found, rand_augment(cropped, bits(), 3, 30))
