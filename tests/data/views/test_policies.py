"""TrivialAugment and RandAugment against torchvision's functions, operation by operation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, RandAugment, TrivialAugmentWide

from kdsearch.data.views.policies import (
    NARROW,
    STRENGTHS,
    WIDE,
    Choice,
    Operation,
    Space,
    draw_choices,
    operate,
    rand_augment,
    trivial_augment,
)
from tests.data.views.helpers import INDEX, MANY, bits, far_apart, random_images

SIDES = (26, 38)
BILINEAR = InterpolationMode.BILINEAR


class Told:
    """In place of a function of torch's that draws: gives the numbers told, one after another."""

    def __init__(self, *numbers: float) -> None:
        self._numbers = list(numbers)

    def __call__(self, *_: object) -> Tensor:
        return torch.tensor(self._numbers.pop(0))


def by_torchvision(
    image: Tensor, space: Space, operation: int, strength: int, negative: int
) -> Tensor:
    """What torchvision's own transform does where it draws these numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", Told(0.0 if negative else 1.0))
        if space is WIDE:
            patch.setattr(torch, "randint", Told(operation, strength))
            found: Tensor = TrivialAugmentWide(interpolation=BILINEAR)(image)
        else:
            patch.setattr(torch, "randint", Told(operation))
            found = RandAugment(1, strength, interpolation=BILINEAR)(image)
    return found


def all_choices(operation: Operation) -> Choice:
    """Every strength [62] with either sign."""
    strength = torch.arange(STRENGTHS).repeat_interleave(2)
    return Choice(torch.full_like(strength, operation), strength, torch.arange(2).repeat(STRENGTHS))


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("space", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_of_every_strength_is_torchvisions(
    channels: int, space: Space, operation: Operation
) -> None:
    choice = all_choices(operation)
    images = random_images(channels, *SIDES, samples=2 * STRENGTHS) // 2 + 40
    result = operate(images.clone(), choice, space)
    for place, (found, image) in enumerate(zip(result, images, strict=True)):
        strength, negative = int(choice.strength[place]), int(choice.negative[place])
        expected = by_torchvision(image, space, operation, strength, negative)
        greatest, share = far_apart(found, expected)
        assert greatest <= 1, (strength, negative)
        # Places and factors of few decimals often give a half or a whole number, which a last bit
        # moves to the next.
        assert share < 0.15, (strength, negative)


def test_choices_are_uniform_and_independent() -> None:
    first, second = draw_choices(bits(MANY), 2)
    for choice in (first, second):
        for values, count in (
            (choice.operation, 14),
            (choice.strength, 31),
            (choice.negative, 2),
        ):
            assert chisquare(torch.bincount(values, minlength=count).numpy()).pvalue > 1e-3
    for one, other in (
        (first.operation, second.operation),
        (first.operation, first.strength),
        (first.operation, first.negative),
        (first.strength, second.strength),
    ):
        table = torch.zeros(31, 31).index_put_((one, other), torch.ones(()), accumulate=True)
        table = table[: int(one.max()) + 1, : int(other.max()) + 1]
        assert chi2_contingency(table.numpy()).pvalue > 1e-3


def test_trivial_augment_does_one_operation() -> None:
    images = random_images(3, *SIDES)
    choice = draw_choices(bits(), 1)[0]
    assert torch.equal(trivial_augment(images.clone(), bits()), operate(images, choice, WIDE))


@pytest.mark.parametrize(("operations", "magnitude"), [(1, 30), (2, 9), (5, 14)])
def test_rand_augment_does_its_operations_in_turn(operations: int, magnitude: int) -> None:
    images = random_images(3, *SIDES)
    result = rand_augment(images.clone(), bits(), operations, magnitude)
    for choice in draw_choices(bits(), operations):
        strength = torch.full_like(choice.strength, magnitude)
        choice = Choice(choice.operation, strength, choice.negative)
        images = torch.cat(
            [
                operate(
                    images[place : place + 1].clone(),
                    Choice(*(part[place : place + 1] for part in vars(choice).values())),
                    NARROW,
                )
                for place in range(len(images))
            ]
        )
    assert torch.equal(result, images)


@given(st.permutations(range(len(INDEX))), st.integers(1, len(INDEX)))
def test_policies_do_not_depend_on_the_batch(order: list[int], size: int) -> None:
    images, chosen = random_images(3, *SIDES), torch.tensor(order[:size])
    some = bits(INDEX[chosen])
    whole = trivial_augment(images.clone(), bits())
    assert torch.equal(trivial_augment(images[chosen], some), whole[chosen])
    whole = rand_augment(images.clone(), bits(), 4, 20)
    assert torch.equal(rand_augment(images[chosen], some, 4, 20), whole[chosen])


@pytest.mark.gpu
@pytest.mark.parametrize("operation", Operation)
def test_a_cuda_device_gives_the_same_bits(operation: Operation) -> None:
    choice = all_choices(operation)
    images = random_images(3, *SIDES, samples=2 * STRENGTHS)
    there = Choice(*(part.cuda() for part in vars(choice).values()))
    found = operate(images.cuda(), there, WIDE)
    assert torch.equal(found.cpu(), operate(images, choice, WIDE))
