"""mixup and CutMix: their draws, their boxes and what they make of two images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, chisquare, ks_2samp, kstest

from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.mixing import (
    Mixing,
    Mixture,
    beta_quantiles,
    blend_,
    cutmix_box,
    half_sides,
    mixup_partner,
    mixup_share,
)
from kdsearch.spec.augmentation import Augmentation
from tests.data.views.helpers import INDEX, MANY, bits, drawn, numbers

CPU = torch.device("cpu")
SIDES = (9, 14)
SAMPLES = 50


def shares(alpha: float, drawn: Bits, device: str = "cpu") -> torch.Tensor:
    return mixup_share(beta_quantiles(alpha, torch.device(device)), drawn)


def mixed(drawn: Bits, device: str = "cpu", **settings: float) -> Mixture:
    return Mixing(Augmentation(**settings), SAMPLES, SIDES, torch.device(device))(drawn)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_share_is_beta(alpha: float) -> None:
    share = shares(alpha, bits(MANY)).numpy()
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
    partner = mixup_partner(50, bits(MANY))
    assert chisquare(torch.bincount(partner, minlength=50).numpy()).pvalue > 1e-3


def test_blend_is_the_convex_combination() -> None:
    own, other = torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)
    share = torch.tensor([0.0, 0.25, 1.0])
    blended = blend_(own.clone(), other.clone(), share[:, None, None, None])
    assert torch.equal(blended[0], other[0])
    assert torch.equal(blended[2], own[2])
    expected = 0.25 * own[1].double() + 0.75 * other[1].double()
    torch.testing.assert_close(blended[1].double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_cutmix_equals_a_loop(alpha: float) -> None:
    """The box as in the paper's code: whole halves of the sides about a pixel, clipped."""
    mixture = mixed(bits(), cutmix=alpha)
    rows, columns = drawn(Draw.CUTMIX_ROW, 9), drawn(Draw.CUTMIX_COLUMN, 14)
    own, other = torch.ones(len(INDEX), 2, *SIDES), torch.zeros(len(INDEX), 2, *SIDES)
    found = blend_(own, other, mixture.weight)
    for place, number in enumerate(numbers(Draw.CUTMIX_SHARE)):
        kept = float(np.float32(beta.ppf(((number >> 51) + 0.5) / 4096, alpha, alpha)))
        half = [int(0.5 * math.sqrt(1 - kept) * side) for side in SIDES]
        expected = torch.ones(2, *SIDES)
        top, left = max(rows[place] - half[0], 0), max(columns[place] - half[1], 0)
        expected[:, top : rows[place] + half[0], left : columns[place] + half[1]] = 0
        assert torch.equal(found[place], expected)
        assert mixture.share[place] == expected.mean()
    assert mixture.partner.tolist() == drawn(Draw.MIXUP_PARTNER, SAMPLES)


def test_cutmix_boxes_have_the_area_of_the_draw_and_a_uniform_centre() -> None:
    sides = (200, 200)
    inside, share = cutmix_box(half_sides(1.0, sides, CPU), sides, bits(MANY[:3000]))
    area = inside.sum(dim=(1, 2)).double() / 200**2
    torch.testing.assert_close(share.double(), 1 - area, atol=1e-6, rtol=0)
    row, column = (bits(MANY[:3000])(d) % 200 for d in (Draw.CUTMIX_ROW, Draw.CUTMIX_COLUMN))
    for centre in (row, column):
        assert kstest(centre.numpy() / 200, "uniform").pvalue > 1e-3
    # Centred boxes are not clipped, and 1 - their area is Beta(1, 1), uniform; whole pixels apart.
    middle = torch.full((3000,), 100)
    draws = {Draw.CUTMIX_ROW: middle, Draw.CUTMIX_COLUMN: middle}
    _, share = cutmix_box(
        half_sides(1.0, sides, CPU), sides, lambda d: draws.get(d, bits(MANY[:3000])(d))
    )
    assert kstest(share.numpy(), "uniform").statistic < 0.04


def test_beside_mixup_each_sample_takes_one_of_the_two() -> None:
    both, alone = mixed(bits(MANY), mixup=0.4, cutmix=1.0), mixed(bits(MANY), mixup=0.4)
    pasted = mixed(bits(MANY), cutmix=1.0)
    blends = (both.weight == alone.weight).flatten(1).all(dim=1) & (both.share == alone.share)
    pastes = (both.weight == pasted.weight).flatten(1).all(dim=1) & (both.share == pasted.share)
    assert (blends | pastes).all()
    assert binomtest(int(pastes.sum()), len(MANY), 0.5).pvalue > 1e-3
    assert torch.equal(both.partner, alone.partner)


@pytest.mark.parametrize("alphas", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_a_label_counts_as_much_as_its_image(alphas: dict[str, float]) -> None:
    mixture = mixed(bits(MANY[:500]), **alphas)
    mean = mixture.weight.double().expand(-1, 1, *SIDES).mean(dim=(1, 2, 3))
    torch.testing.assert_close(mean, mixture.share.double(), atol=1e-6, rtol=0)


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_mixtures_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    chosen = torch.tensor(order[:size])
    whole = mixed(bits(), mixup=0.4, cutmix=1.0)
    part = mixed(bits(INDEX[chosen]), mixup=0.4, cutmix=1.0)
    for name in ("partner", "share", "weight"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[chosen])


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    found, expected = (
        mixed(bits(INDEX.to(device)), device, mixup=0.2, cutmix=1.0) for device in ("cuda", "cpu")
    )
    for name in ("partner", "share", "weight"):
        assert torch.equal(getattr(found, name).cpu(), getattr(expected, name))
