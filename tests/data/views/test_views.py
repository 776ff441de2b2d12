"""Batches: normalisation and mixup against NumPy, purity bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdsearch.data import Scale, Split, Views, epoch_order
from kdsearch.data.views.draws import Bits
from kdsearch.data.views.erasing import cutout_, random_erasing_
from kdsearch.data.views.geometry import crop_and_flip
from kdsearch.data.views.mixing import Mixing, beta_quantiles, mixup_partner, mixup_share
from kdsearch.data.views.random_streams import random_bits
from kdsearch.errors import DataError
from kdsearch.spec.augmentation import (
    Augmentation,
    ColorJitter,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
)
from tests.pictures import pictured

MakeSplit = Callable[..., Split]

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
SCALES = {"image": Scale(MEAN, STD)}
GREY = {"image": Scale(MEAN[:1], STD[:1])}
EVERYTHING = Augmentation(crop=2, flip=True, cutout=3, mixup=0.4)
PICTURES = Augmentation(
    random_resized_crop=RandomResizedCrop(),
    flip=True,
    vertical_flip=True,
    rotation=25,
    trivial_augment=True,
    color_jitter=ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    random_erasing=RandomErasing(),
    cutout=2,
    mixup=0.3,
    cutmix=1,
)
RANDOM = Augmentation(crop=1, rand_augment=RandAugment(operations=3, magnitude=20), cutmix=0.5)

every = pytest.mark.parametrize(
    "augment", [EVERYTHING, PICTURES, RANDOM], ids=["everything", "pictures", "random"]
)


def bits(seed: int, epoch: int, index: torch.Tensor) -> Bits:
    return lambda draw: random_bits(seed, epoch, index, draw)


def normalised(images: torch.Tensor) -> np.ndarray:
    """(x / 255 − mean) / std, each step rounded to float32."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return (images.numpy().astype(np.float32) / np.float32(255) - mean) / std


@pytest.mark.parametrize("augment", [None, Augmentation()])
def test_plain_views_are_the_normalised_images(
    make_split: MakeSplit, augment: Augmentation | None
) -> None:
    split = make_split()
    index = torch.tensor([3, 36, 0, 3])
    images, targets = pictured(Views(split, SCALES, augment, 5).batch(index, 9))
    assert images.dtype == torch.float32
    np.testing.assert_array_equal(images.numpy(), normalised(split.images[index]))
    assert targets["label"].labels.tolist() == [3, 0, 0, 3]
    assert targets["label"].partner is None
    assert targets["label"].share is None


def test_training_images_come_out_with_mean_zero_and_deviation_one() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 3, 8, 8), dtype=np.uint8)
    scaled = pixels / 255
    views = Views(
        Split.of_classes(torch.from_numpy(pixels), torch.zeros(200, dtype=torch.int64)),
        {"image": Scale(scaled.mean(axis=(0, 2, 3)).tolist(), scaled.std(axis=(0, 2, 3)).tolist())},
        None,
        0,
    )
    images, _ = pictured(views.batch(torch.arange(200), 0))
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0
    )


def test_cutout_fills_with_the_mean_and_crop_with_black(make_split: MakeSplit) -> None:
    split = make_split()
    index = torch.arange(len(split))
    change = Augmentation(crop=2, cutout=4)
    images, _ = pictured(Views(split, SCALES, change, 1).batch(index, 2))
    cropped = crop_and_flip(split.images, 2, False, bits(1, 2, index))
    expected = cutout_(torch.from_numpy(normalised(cropped)), 4, bits(1, 2, index))
    assert torch.equal(images, expected)
    assert (images == 0).any()
    assert torch.isclose(images[:, 0], torch.tensor(-MEAN[0] / STD[0])).any()


def test_mixup_blends_two_samples_own_views(make_split: MakeSplit) -> None:
    split = make_split()
    index = torch.tensor([8, 1, 30, 8])
    images, targets = pictured(Views(split, SCALES, EVERYTHING, 4).batch(index, 6))
    alone = Views(split, SCALES, EVERYTHING.model_copy(update={"mixup": 0.0}), 4)
    partner = mixup_partner(len(split), bits(4, 6, index))
    share = mixup_share(beta_quantiles(0.4, torch.device("cpu")), bits(4, 6, index))
    own, other = (
        alone.batch(which, 6).inputs["image"].double().numpy() for which in (index, partner)
    )
    weight = share.double().numpy()[:, None, None, None]
    expected = weight * own + (1 - weight) * other
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-5)
    assert targets["label"].partner is not None
    assert targets["label"].share is not None
    assert torch.equal(targets["label"].labels, split.labels[index])
    assert torch.equal(targets["label"].partner, split.labels[partner])
    assert torch.equal(targets["label"].share, share)


def test_cutmix_pastes_a_box_of_another_samples_own_view(make_split: MakeSplit) -> None:
    split = make_split()
    index = torch.tensor([8, 1, 30, 8, 2, 3])
    images, targets = pictured(Views(split, SCALES, RANDOM, 4).batch(index, 6))
    alone = Views(split, SCALES, RANDOM.model_copy(update={"cutmix": 0.0}), 4)
    mixing = Mixing(RANDOM, len(split), (9, 11), torch.device("cpu"))
    mixture = mixing(bits(4, 6, index))
    own, other = (alone.batch(which, 6).inputs["image"] for which in (index, mixture.partner))
    assert torch.equal(images, torch.where(mixture.weight == 1, own, other))
    assert targets["label"].partner is not None
    assert torch.equal(targets["label"].labels, split.labels[index])
    assert torch.equal(targets["label"].partner, split.labels[mixture.partner])
    assert torch.equal(targets["label"].share, mixture.share)  # type: ignore[arg-type]


def test_erasing_comes_after_normalisation_and_cutout_after_it(make_split: MakeSplit) -> None:
    split, index = make_split(), torch.arange(37)
    change = Augmentation(cutout=3, random_erasing=RandomErasing(probability=1))
    images, _ = pictured(Views(split, SCALES, change, 1).batch(index, 2))
    expected = torch.from_numpy(normalised(split.images))
    random_erasing_(expected, bits(1, 2, index), 1.0, (0.02, 0.33), (0.3, 3.3))
    assert torch.equal(images, cutout_(expected, 3, bits(1, 2, index)))


def test_of_grey_images_the_colour_stays_and_all_else_changes(make_split: MakeSplit) -> None:
    jitter = ColorJitter(brightness=0.4, contrast=0.4)
    augment = PICTURES.model_copy(update={"color_jitter": jitter})
    views = Views(make_split(37, 1), GREY, augment, 2)
    images, _ = pictured(views.batch(torch.arange(37), 1))
    assert images.isfinite().all()
    assert torch.equal(views.batch(torch.tensor([30, 2]), 1).inputs["image"], images[[30, 2]])


@every
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(order=st.permutations(range(37)), cuts=st.sets(st.integers(1, 36), max_size=8))
def test_any_partition_of_any_order_gives_the_same_bits(
    make_split: MakeSplit, augment: Augmentation, order: list[int], cuts: set[int]
) -> None:
    views = Views(make_split(), SCALES, augment, 2)
    images, targets = pictured(views.batch(torch.arange(37), 1))
    assert targets["label"].partner is not None
    assert targets["label"].share is not None
    for index in torch.tensor(order).tensor_split(sorted(cuts)):
        part, answer = pictured(views.batch(index, 1))
        assert answer["label"].partner is not None
        assert answer["label"].share is not None
        assert torch.equal(part, images[index])
        assert torch.equal(answer["label"].labels, targets["label"].labels[index])
        assert torch.equal(answer["label"].partner, targets["label"].partner[index])
        assert torch.equal(answer["label"].share, targets["label"].share[index])


@every
@pytest.mark.parametrize("epochs", [(0, 1, 0), (3, 3, 2)])
def test_views_do_not_depend_on_the_epochs_seen_before(
    make_split: MakeSplit, augment: Augmentation, epochs: tuple[int, ...]
) -> None:
    index = torch.tensor([4, 0, 36])
    worn = Views(make_split(), SCALES, augment, 2)
    for epoch in epochs:
        images, targets = pictured(worn.batch(index, epoch))
        fresh, answers = pictured(Views(make_split(), SCALES, augment, 2).batch(index, epoch))
        assert torch.equal(images, fresh)
        assert torch.equal(targets["label"].share, answers["label"].share)  # type: ignore[arg-type]


def test_every_part_of_a_view_equals_a_loop_over_samples(make_split: MakeSplit) -> None:
    split = make_split()
    change = Augmentation(crop=3, flip=True, cutout=4, mixup=0.7)
    index = torch.tensor([9, 36, 0, 9, 17, 2])
    images, targets = pictured(Views(split, SCALES, change, 5).batch(index, 8))
    quantiles = beta_quantiles(0.7, torch.device("cpu")).numpy()
    for place, sample in enumerate(index.tolist()):
        draw = [int(random_bits(5, 8, torch.tensor([sample]), which)) for which in range(7)]
        partner, share = draw[5] % 37, quantiles[draw[6] >> 51]
        own, other = (looped(split, which) for which in (sample, partner))
        expected = own * share + other * (np.float32(1) - share)
        np.testing.assert_array_equal(images[place].numpy(), expected)
        assert targets["label"].share is not None
        assert targets["label"].share[place] == share


def looped(split: Split, sample: int) -> np.ndarray:
    """The view of one sample under seed 5 in epoch 8: crop 3, flip, cutout 4."""
    draw = [int(random_bits(5, 8, torch.tensor([sample]), which)) for which in range(5)]
    padded = np.pad(split.images[sample].numpy(), ((0, 0), (3, 3), (3, 3)))
    _, height, width = split.images[sample].shape
    top, left = draw[0] % 7, draw[1] % 7
    image = padded[:, top : top + height, left : left + width]
    if draw[2] % 2:
        image = image[:, :, ::-1]
    view = normalised(torch.from_numpy(image.copy()))
    row, column = draw[3] % height - 2, draw[4] % width - 2
    view[:, max(row, 0) : max(row + 4, 0), max(column, 0) : max(column + 4, 0)] = 0
    return view


@every
def test_views_repeat_whatever_the_global_generator_says(
    make_split: MakeSplit, augment: Augmentation
) -> None:
    index = epoch_order(0, 0, 37)[:16]
    first, _ = pictured(Views(make_split(), SCALES, augment, 2).batch(index, 3))
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        again, _ = pictured(Views(make_split(), SCALES, augment, 2).batch(index, 3))
    assert torch.equal(first, again)


@every
def test_views_change_with_epoch_and_seed(make_split: MakeSplit, augment: Augmentation) -> None:
    index = torch.arange(37)
    views = Views(make_split(), SCALES, augment, 2)
    first, _ = pictured(views.batch(index, 0))
    assert not torch.equal(first, views.batch(index, 1).inputs["image"])
    assert not torch.equal(
        first, Views(make_split(), SCALES, augment, 3).batch(index, 0).inputs["image"]
    )


@every
def test_the_split_is_left_as_it_was(make_split: MakeSplit, augment: Augmentation) -> None:
    split = make_split()
    before = split.images.clone()
    Views(split, SCALES, augment, 2).batch(torch.arange(37), 0)
    assert torch.equal(split.images, before)


def test_length_is_that_of_the_split(make_split: MakeSplit) -> None:
    assert len(Views(make_split(21), SCALES, None, 0)) == 21


def test_a_change_too_large_for_the_images_is_refused(make_split: MakeSplit) -> None:
    with pytest.raises(DataError, match=r"data\.augment\.cutout"):
        Views(make_split(), SCALES, Augmentation(cutout=10), 0)


@pytest.mark.gpu
@every
def test_a_cuda_device_gives_the_same_bits(make_split: MakeSplit, augment: Augmentation) -> None:
    split, index = make_split(), torch.arange(37)
    images, _ = pictured(Views(split, SCALES, augment, 2).batch(index, 1))
    on_device, targets = pictured(Views(split.to("cuda"), SCALES, augment, 2).batch(index, 1))
    assert targets["label"].labels.is_cuda
    assert torch.equal(on_device.cpu(), images)
