"""The draws of the colour jitter, and its changes in each sample's own order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from torchvision.transforms.v2 import functional as F  # noqa: N812

from kdsearch.data.views import colour
from kdsearch.data.views.draws import Draw
from kdsearch.data.views.jitter import color_jitter, draw_order, draw_strength
from kdsearch.spec.augmentation import ColorJitter
from tests.data.views.helpers import INDEX, MANY, bits, far_apart, numbers, random_images

ALL = ColorJitter(brightness=0.4, contrast=0.3, saturation=0.5, hue=0.1)
NAMES = ("brightness", "contrast", "saturation", "hue")


def test_jitter_equals_a_loop_over_samples() -> None:
    images = random_images(3, 11, 13)
    result = color_jitter(images.clone(), bits(), ALL)
    order = draw_order(4, bits())
    for place, image in enumerate(images):
        expected = image[None]
        also = image
        for number in order[place].tolist():
            name = NAMES[number]
            drawn = (numbers(Draw[name.upper()])[place] >> 39) / 2**24
            spread = getattr(ALL, name)
            low, high = (-spread, spread) if name == "hue" else (1 - spread, 1 + spread)
            strength = torch.tensor([drawn * (high - low) + low], dtype=torch.float32)
            expected = getattr(colour, name)(expected, strength)
            also = getattr(F, f"adjust_{name}")(also, float(strength))
        assert torch.equal(result[place], expected[0])
        # A last unit that differs in one step grows in the next ones.
        assert far_apart(result[place], also)[0] <= 4


@pytest.mark.parametrize("name", NAMES)
def test_strengths_are_uniform_in_their_range(name: str) -> None:
    strength = draw_strength(name, 0.3, bits(MANY)).numpy()
    low, high = (-0.3, 0.3) if name == "hue" else (0.7, 1.3)
    assert low - 1e-6 <= strength.min() < strength.max() <= high + 1e-6
    assert kstest(strength, "uniform", (low, high - low)).pvalue > 1e-3


def test_a_factor_is_never_below_zero() -> None:
    strength = draw_strength("contrast", 3.0, bits(MANY)).numpy()
    assert kstest(strength, "uniform", (0, 4)).pvalue > 1e-3


def test_all_orders_are_as_likely() -> None:
    order = draw_order(4, bits(MANY)).numpy()
    assert (np.sort(order, axis=1) == np.arange(4)).all()
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_one_change_alone(name: str) -> None:
    images = random_images(3, 11, 13)
    result = color_jitter(images.clone(), bits(), ColorJitter(**{name: 0.5}))
    strength = draw_strength(name, 0.5, bits())
    assert torch.equal(result, getattr(colour, name)(images.clone(), strength))


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_jitter_does_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(), torch.tensor(order[:size])
    whole = color_jitter(images.clone(), bits(), ALL)
    assert torch.equal(color_jitter(images[chosen], bits(INDEX[chosen]), ALL), whole[chosen])


@pytest.mark.gpu
def test_a_cuda_device_gives_the_same_bits() -> None:
    images = random_images()
    found = color_jitter(images.cuda(), bits(INDEX.cuda()), ALL)
    assert torch.equal(found.cpu(), color_jitter(images, bits(), ALL))
