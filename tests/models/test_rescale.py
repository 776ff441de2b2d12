"""The width knob for models that have none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models.rescale import initialise, rescale, set_image_channels


def rescaled(model: nn.Module, width: float, shape: tuple[int, int, int]) -> nn.Module:
    rescale(model.to("meta"), width, shape, 5, "mine")
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    model.to_empty(device="cpu")
    initialise(model)
    return model


class Concatenation(nn.Module):
    """Two branches whose widths round apart from their sum's."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 20, 3, padding=1)
        self.right = nn.Conv2d(3, 20, 3, padding=1)
        self.norm = nn.BatchNorm2d(40)
        self.group_norm = nn.GroupNorm(4, 40)
        self.fc = nn.Linear(40 * 16, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.cat((self.left(images), self.right(images)), dim=1)
        return self.fc(self.group_norm(self.norm(maps)).flatten(1))


def test_inputs_follow_what_arrives() -> None:
    model = rescaled(Concatenation(), 0.6, (3, 4, 4))
    # 20 × 0.6 = 12 rounds half up to 16; 40 × 0.6 = 24 would have been the sum's own rounding
    assert model.left.weight.shape == (16, 3, 3, 3)
    assert model.norm.running_var.shape == model.norm.weight.shape == (32,)
    assert model.group_norm.weight.shape == (32,)
    assert model.fc.weight.shape == (5, 32 * 16)
    assert model.train()(torch.randn(2, 3, 4, 4)).shape == (2, 5)


def test_depthwise_stays_depthwise_and_groups_keep_their_channels() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 48, 3, padding=1),
        nn.Conv2d(48, 48, 3, padding=1, groups=48),
        nn.Conv2d(48, 48, 3, padding=1, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 5),
    )
    rescaled(model, 0.5, (3, 4, 4))
    # multiples of lcm(8, 1, 12) = 24
    assert model[1].weight.shape == (24, 1, 3, 3)
    assert model[1].groups == 24
    assert model[2].weight.shape == (24, 12, 3, 3)
    assert model[2].groups == 2
    assert model(torch.zeros(1, 3, 4, 4)).shape == (1, 5)


def test_layer_norm_and_tokens() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.LayerNorm(32), nn.Linear(32, 5))
    rescaled(model, 1.5, (3, 4, 4))
    assert model[2].normalized_shape == (48,)
    assert model[2].weight.tolist() == [1.0] * 48
    assert model(torch.zeros(1, 3, 4, 4)).shape == (1, 5)


def test_a_narrower_model_never_grows_and_a_wider_one_never_shrinks() -> None:
    for width in (0.1, 0.5, 0.99, 1.01, 3.0):
        model = nn.Sequential(
            nn.Conv2d(3, 20, 1), nn.Conv2d(20, 4, 4), nn.Flatten(), nn.Linear(4, 5)
        )
        rescaled(model, width, (3, 4, 4))
        for layer, before in ((model[0], 20), (model[1], 4)):
            assert (layer.out_channels <= before) if width < 1 else (layer.out_channels >= before)


def test_a_hidden_layer_as_long_as_the_classes_is_scaled_too() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 64))
    rescale(model.to("meta"), 0.5, (3, 4, 4), 64, "mine")
    assert model[1].weight.shape == (32, 48)
    assert model[3].weight.shape == (64, 32)


class RawParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(48))
        self.fc = nn.Linear(48, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1) * self.scale)


class Unequal(nn.Module):
    """Adds a concatenation of 12 + 12 to 24 channels, which round apart at width 0.4."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(3, 12, 1) for _ in range(2))
        self.whole = nn.Conv2d(3, 24, 1)
        self.fc = nn.Linear(24, 5)

    def forward(self, images: Tensor) -> Tensor:
        joined = torch.cat([part(images) for part in self.parts], dim=1)
        return self.fc((joined + self.whole(images)).mean(dim=(2, 3)))


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(48, 5)
        self.idle = nn.Linear(48, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (RawParameter(), "its RawParameter has a raw 'scale'"),
        (Unequal(), "do not fit together"),
        (Idle(), "take no part"),
    ],
)
def test_models_without_a_knob_are_refused_with_alternatives(model: nn.Module, reason: str) -> None:
    with pytest.raises(
        ModelError, match=f"mine has no width knob at width 0.4.*{reason}.*resnet18"
    ):
        rescale(model.to("meta"), 0.4, (3, 4, 4), 5, "mine")
    assert not any(part._forward_pre_hooks for part in model.modules())


def test_image_channels_change_the_first_convolution_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 3, 3))
    second = model[1].weight.clone()
    first = model[0].weight
    set_image_channels(model, 3)
    assert model[0].weight is first
    set_image_channels(model, 1)
    assert model[0].weight.shape == (8, 1, 3, 3)
    assert torch.equal(model[1].weight, second)
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 3, 4, 4)
