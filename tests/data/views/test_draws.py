"""A change reaches the images chosen alone, however many are changed at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kdsearch.data.views import draws
from kdsearch.data.views.draws import change_
from tests.data.views.helpers import random_images

STRENGTH = torch.arange(11, dtype=torch.uint8)


def added(images: Tensor, strength: Tensor) -> Tensor:
    assert len(images) == len(strength) > 0
    return images + strength[:, None, None, None]


@pytest.mark.parametrize("part", [1, 500, 10**6])
@pytest.mark.parametrize("chosen", [(), (4,), (0, 3, 10), range(11), None])
def test_the_images_chosen_are_changed_by_their_own_strength(
    monkeypatch: pytest.MonkeyPatch, part: int, chosen: tuple[int, ...] | None
) -> None:
    monkeypatch.setattr(draws, "_PART", part)
    images = random_images()
    which = None
    if chosen is not None:
        which = torch.zeros(11, dtype=torch.bool)
        which[list(chosen)] = True
    result = change_(images.clone(), which, added, STRENGTH)
    for place, (found, image) in enumerate(zip(result, images, strict=True)):
        changes = chosen is None or place in chosen
        assert torch.equal(found, image + place if changes else image)
