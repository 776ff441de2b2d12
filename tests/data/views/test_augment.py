"""Each change against a loop over samples and pixels that uses the same draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, chisquare, ks_2samp

from kdsearch.data.views.augment import (
    Bits,
    Draw,
    beta_quantiles,
    blend_,
    check_augmentation,
    crop_and_flip,
    cutout_,
    mixup_partner,
    mixup_share,
)
from kdsearch.data.views.random_streams import randint, random_bits
from kdsearch.errors import DataError
from kdsearch.spec.sections import Augmentation

SEED, EPOCH = 17, 3
INDEX = torch.tensor([5, 0, 900_001, 5, 12, 7, 8, 9, 10, 11, 2**40])


def random_images(channels: int = 3, height: int = 7, width: int = 10) -> torch.Tensor:
    generator = np.random.default_rng(1)
    shape = (len(INDEX), channels, height, width)
    return torch.from_numpy(generator.integers(1, 256, shape, dtype=np.uint8))


def bits(index: torch.Tensor = INDEX, seed: int = SEED, epoch: int = EPOCH) -> Bits:
    return lambda draw: random_bits(seed, epoch, index, draw)


def cutout(images: torch.Tensor, side: int, drawn: Bits) -> torch.Tensor:
    return cutout_(images.float().clone(), side, drawn)


def shares(alpha: float, drawn: Bits, device: str = "cpu") -> torch.Tensor:
    return mixup_share(beta_quantiles(alpha, torch.device(device)), drawn)


def drawn(draw: Draw, high: int) -> list[int]:
    return randint(SEED, EPOCH, INDEX, draw, high).tolist()


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


def test_nothing_asked_for_changes_nothing() -> None:
    images = random_images()
    assert torch.equal(crop_and_flip(images, 0, False, bits()), images)
    assert torch.equal(cutout(images, 0, bits()), images.float())


def test_crops_and_flips_are_uniform_and_independent() -> None:
    index = torch.arange(20_000)
    # An image of one bright pixel tells where the crop was taken and whether it was mirrored.
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[..., 2, 1] = 1
    moved = crop_and_flip(image.expand(20_000, -1, -1, -1), 1, True, bits(index))
    place = moved.flatten(1).float().argmax(dim=1)
    assert (moved.flatten(1).sum(dim=1) == 1).all()
    # Rows 1–3 are equally likely; columns 0, 1, 2 come from crops, 4, 3, 2 from mirrored ones.
    counts = torch.bincount(place, minlength=25).view(5, 5)[1:4]
    expected = np.tile(np.array([1, 1, 2, 1, 1]) * 20_000 / 18, (3, 1))
    assert counts.sum() == 20_000
    assert chisquare(counts.flatten().numpy(), expected.flatten()).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_share_is_beta(alpha: float) -> None:
    share = shares(alpha, bits(torch.arange(20_000))).numpy()
    assert 0 <= share.min() <= share.max() <= 1
    # SciPy's sampler, rounded to float32 too: for a small α much of the mass rounds to 1.
    sampled = beta.rvs(alpha, alpha, size=50_000, random_state=0).astype(np.float32)
    assert ks_2samp(share, sampled).pvalue > 1e-3
    other = beta.rvs(alpha * 1.5, alpha, size=50_000, random_state=0).astype(np.float32)
    assert ks_2samp(share, other).pvalue < 1e-6


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e4])
def test_mixup_share_takes_every_quantile_of_the_table(alpha: float) -> None:
    share = shares(alpha, bits(torch.arange(200_000)))
    middles = (np.arange(4096) + 0.5) / 4096
    table = np.unique(beta.ppf(middles, alpha, alpha).astype(np.float32))
    np.testing.assert_array_equal(np.unique(share.numpy()), table)


def test_mixup_partner_is_any_sample_of_the_split() -> None:
    partner = mixup_partner(50, bits(torch.arange(20_000)))
    assert chisquare(torch.bincount(partner, minlength=50).numpy()).pvalue > 1e-3


def test_blend_is_the_convex_combination() -> None:
    own, other = torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    share = torch.tensor([0.0, 0.25, 1.0])
    mixed = blend_(own.clone(), other.clone(), share)
    assert torch.equal(mixed[0], other[0])
    assert torch.equal(mixed[2], own[2])
    expected = 0.25 * own[1].double() + 0.75 * other[1].double()
    torch.testing.assert_close(mixed[1].double(), expected, atol=1e-6, rtol=0)


@settings(deadline=None)
@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_changes_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(), torch.tensor(order[:size])
    whole = crop_and_flip(images, 3, True, bits())
    part = crop_and_flip(images[chosen], 3, True, bits(INDEX[chosen]))
    assert torch.equal(part, whole[chosen])
    blanked = cutout(images, 4, bits())
    assert torch.equal(cutout(images[chosen], 4, bits(INDEX[chosen])), blanked[chosen])


@pytest.mark.parametrize(("seed", "epoch"), [(SEED + 1, EPOCH), (SEED, EPOCH + 1)])
def test_changes_depend_on_seed_and_epoch(seed: int, epoch: int) -> None:
    images = random_images()
    first = crop_and_flip(images, 3, True, bits())
    assert not torch.equal(first, crop_and_flip(images, 3, True, bits(INDEX, seed, epoch)))
    share = shares(1.0, bits())
    assert not torch.equal(share, shares(1.0, bits(INDEX, seed, epoch)))


def test_no_two_draws_share_a_number() -> None:
    assert len({draw.value for draw in Draw}) == len(Draw.__members__)
    assert min(Draw) >= 0  # the order of an epoch is draw -1


@pytest.mark.parametrize(
    ("augment", "sentence"),
    [
        (Augmentation(crop=8), r"data\.augment\.crop \(8\) must be below .* \(8×12\)"),
        (Augmentation(cutout=9), r"data\.augment\.cutout \(9\) must not exceed .* \(8×12\)"),
    ],
)
def test_changes_that_leave_nothing_are_refused(augment: Augmentation, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_augmentation(augment, (8, 12))


def test_the_largest_possible_changes_are_accepted() -> None:
    check_augmentation(Augmentation(crop=7, cutout=8), (8, 12))
    index = torch.arange(3000)
    ones = torch.ones(3000, 1, 8, 12)
    assert (crop_and_flip(ones, 7, False, bits(index)).sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    images = random_images()
    on_device = images.cuda()
    cropped = crop_and_flip(on_device, 3, True, bits(INDEX.cuda()))
    assert torch.equal(cropped.cpu(), crop_and_flip(images, 3, True, bits()))
    share = shares(0.2, bits(INDEX.cuda()), "cuda")
    assert torch.equal(share.cpu(), shares(0.2, bits()))
