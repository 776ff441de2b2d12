"""Forward passes that leave no trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdsearch.models.dry_run import blank_images, evaluating


def test_every_part_gets_its_own_mode_back_even_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(2), nn.Dropout())).train()
    model[1][0].eval()
    modes = [part.training for part in model.modules()]
    inside: list[bool] = []

    def fail() -> None:
        inside.extend([torch.is_grad_enabled(), *(part.training for part in model.modules())])
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"), evaluating(model):
        fail()
    assert inside == [False] * 6
    assert [part.training for part in model.modules()] == modes == [True, True, True, False, True]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blank_images_suit_the_module(dtype: torch.dtype) -> None:
    images = blank_images(nn.Conv2d(3, 4, 1, dtype=dtype, device="meta"), (3, 5, 7), 2)
    assert (images.shape, images.dtype, images.device.type) == ((2, 3, 5, 7), dtype, "meta")
