"""Forward passes that leave no trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdsearch.models.dry_run import blank_inputs, evaluating
from kdsearch.models.inputs import Input, of_images


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
def test_blank_inputs_suit_the_module(dtype: torch.dtype) -> None:
    inputs = {**of_images((3, 5, 7)), "age": Input("numbers", (4,))}
    blank = blank_inputs(nn.Conv2d(3, 4, 1, dtype=dtype, device="meta"), inputs, 2)
    assert [each.shape for each in blank] == [(2, 3, 5, 7), (2, 4)]
    assert {(each.dtype, each.device.type) for each in blank} == {(dtype, "meta")}
