"""Stage maps before their closing activation, read of arbitrary modules."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual

from kdsearch.errors import ModelError
from kdsearch.models import Signal, build_network, of_images
from kdsearch.models.taps.calls import ACTIVATIONS
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig

SHAPE = (3, 16, 16)


def torchvision(name: str, side: int = 32) -> TappedNetwork:
    network = build_network(
        ModelConfig(family=f"torchvision/{name}"), of_images((3, side, side)), 10
    )
    assert isinstance(network, TappedNetwork)
    return network


def tapped(*layers: nn.Module) -> TappedNetwork:
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(5))
    model(torch.zeros(1, *SHAPE))
    return TappedNetwork(model, "test", of_images(SHAPE), 5).eval()


@pytest.mark.parametrize("training", [True, False])
def test_resnet_closes_every_stage_with_one_relu_called_twice_in_place(training: bool) -> None:
    network = torchvision("resnet18", 64).train(training)
    trace = network.trace(torch.randn(2, 3, 64, 64))
    assert len(trace.preactivation) == len(trace.features) == 4
    for before, after in zip(trace.preactivation, trace.features, strict=True):
        assert torch.equal(before.relu(), after)
        assert (before < 0).any()


def test_resnets_preactivation_is_the_sum_of_the_last_block() -> None:
    network = torchvision("resnet18", 64).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        trace = network.trace(images)
        stages = [network.model.layer2, network.model.layer3, network.model.layer4]
        inputs = trace.features[:3]
        for maps, stage, before in zip(inputs, stages, trace.preactivation[1:], strict=True):
            first, last = stage
            carried = first(maps)
            inner = F.relu(last.bn1(last.conv1(carried)))
            assert torch.allclose(last.bn2(last.conv2(inner)) + carried, before, atol=1e-5)


def test_mobilenets_maps_are_linear_bottlenecks_and_stand_for_themselves() -> None:
    network = torchvision("mobilenet_v2", 64).eval()
    _, _, features, preactivation, *_ = network.trace(torch.randn(2, 3, 64, 64))
    assert [maps.shape[1] for maps in features] == [24, 32, 96, 320]
    for before, after in zip(preactivation, features, strict=True):
        assert before is after
        assert (before < 0).any()


def test_a_linear_bottleneck_stands_for_itself() -> None:
    """The block is torchvision's; at a stride of 2 its output alone has that resolution."""
    network = tapped(InvertedResidual(3, 4, stride=2, expand_ratio=1))
    _, _, features, preactivation, *_ = network.trace(torch.randn(2, *SHAPE))
    assert [stage.activations for stage in network.taps.stages] == [()]
    assert preactivation[0] is features[0]
    assert (features[0] < 0).any()


def test_vgg_ends_in_a_relu_where_its_last_map_is_pooled_to_one_pixel() -> None:
    _, _, features, preactivation, *_ = (
        torchvision("vgg11_bn", 32).eval().trace(torch.randn(2, 3, 32, 32))
    )
    assert [maps.shape[-1] for maps in features] == [16, 8, 4, 2]
    for before, after in zip(preactivation, features, strict=True):
        assert torch.equal(before.relu(), after)
        assert (before < 0).any()


def test_vgg_ends_in_the_pooling_where_that_is_the_last_map() -> None:
    _, _, features, preactivation, *_ = (
        torchvision("vgg11_bn", 64).eval().trace(torch.randn(2, 3, 64, 64))
    )
    assert [maps.shape[-1] for maps in features] == [16, 8, 4, 2]
    assert preactivation[-1] is features[-1]
    for before, after in zip(preactivation[:-1], features[:-1], strict=True):
        assert torch.equal(before.relu(), after)
        assert (before < 0).any()


def test_a_transformer_has_neither_stages_nor_preactivations() -> None:
    trace = torchvision("vit_b_32").eval().trace(torch.randn(2, 3, 32, 32))
    assert trace.features == trace.preactivation == ()


@pytest.mark.parametrize(
    ("kind", "inplace"),
    [
        (kind, inplace)
        for kind in ACTIVATIONS
        for inplace in (False, True)
        if not inplace or hasattr(kind(), "inplace")
    ],
)
def test_every_activation_module_closes_a_stage(kind: type[nn.Module], inplace: bool) -> None:
    activation = kind(inplace=True) if inplace else kind()
    convolution = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    network = tapped(convolution, activation)
    images = torch.randn(2, *SHAPE)
    (after,), (before,) = network.trace(images)[2:4]
    assert torch.equal(before, convolution(images))
    assert torch.equal(kind()(before), after)
    assert not torch.equal(before, after)


class Added(nn.Module):
    """A sum after the activation; in place the tensor stays the one that the ReLU returned."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.inplace = inplace

    def forward(self, maps: Tensor) -> Tensor:
        out = self.relu(self.conv(maps))
        if not self.inplace:
            return out + maps
        out += maps
        return out


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_activation_before_a_sum_does_not_close_the_stage(inplace: bool, device: str) -> None:
    with torch.device(device):
        network = TappedNetwork(
            nn.Sequential(nn.AvgPool2d(2), Added(inplace), nn.Flatten(), nn.Linear(3 * 64, 5)),
            "test",
            of_images(SHAPE),
            5,
        )
        _, _, features, preactivation, *_ = network.trace(torch.zeros(2, *SHAPE))
    assert [stage.activations for stage in network.taps.stages] == [()]
    assert preactivation[0] is features[0]


def test_networks_can_be_made_in_inference_mode() -> None:
    with torch.inference_mode():
        closed = tapped(
            nn.Identity(), nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True)
        )
        added = tapped(nn.AvgPool2d(2), Added(inplace=True))
        trace = closed.trace(torch.randn(2, *SHAPE))
    assert added.taps.stages[0].activations == ()
    assert torch.equal(trace.preactivation[0].relu(), trace.features[0])


class Functional(nn.Module):
    """Rectifies by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.conv(maps))


def test_a_function_cannot_be_seen_and_the_map_stands_for_itself() -> None:
    _, _, features, preactivation, *_ = tapped(Functional()).trace(torch.randn(2, *SHAPE))
    assert preactivation[0] is features[0]
    assert features[0].min() == 0


def test_identities_and_blocks_around_an_activation_keep_it_closing() -> None:
    convolution = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    block = nn.Sequential(nn.Sequential(convolution, nn.ReLU(inplace=True)), nn.Identity())
    images = torch.randn(2, *SHAPE)
    _, _, features, preactivation, *_ = tapped(block).trace(images)
    assert torch.equal(preactivation[0], convolution(images))
    assert torch.equal(features[0], convolution(images).relu())


class ChannelsLast(nn.Module):
    """Pixels [B, H, W, C] through a linear layer and an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, stride=4)
        self.mix = nn.Linear(6, 6)
        self.act = nn.GELU()
        self.head = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.act(self.mix(self.embed(images).permute(0, 2, 3, 1)))
        return self.head(maps.mean(dim=(1, 2)))


def test_channels_last_preactivations_are_turned_too() -> None:
    model = ChannelsLast()
    images = torch.randn(2, *SHAPE)
    preactivation = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images).preactivation
    expected = model.mix(model.embed(images).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.equal(preactivation[0], expected)


def test_reading_changes_no_answer_and_no_gradient() -> None:
    """In-place activations overwrite their input, of which a copy is read."""
    network = torchvision("resnet18", 32).eval()
    images = torch.randn(2, 3, 32, 32)
    gradients = []
    for logits in (network(images), network.trace(images).logits):
        network.zero_grad()
        logits.square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert torch.equal(network(images), network.trace(images).logits)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_gradient_of_the_preactivation_reaches_what_came_before_it_alone() -> None:
    network = torchvision("resnet18", 64)
    signals = network.observe({"image": torch.randn(2, 3, 64, 64)}, {Signal.PREACTIVATION})
    # Negative values have a gradient here that the rectified map would not give.
    signals.preactivation[1].clamp(max=0).sum().backward()
    assert network.model.layer2[1].conv2.weight.grad.abs().sum() > 0
    assert network.model.layer3[0].conv1.weight.grad is None


def test_preactivations_survive_copies_and_pickles_and_leave_no_hooks() -> None:
    network = tapped(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True))
    images = torch.randn(2, *SHAPE)
    expected = network.trace(images).preactivation[0]
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(twin.trace(images).preactivation[0], expected)
    hooks = [len(p._forward_hooks) + len(p._forward_pre_hooks) for p in network.modules()]
    assert sum(hooks) == 0


def test_one_relu_for_all_stages_is_told_apart_by_its_calls() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = (3, 4, 6, 8)
            self.convs = nn.ModuleList(
                nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes)
            )
            self.relu = nn.ReLU(inplace=True)
            self.fc = nn.Linear(8, 5)

        def forward(self, maps: Tensor) -> Tensor:
            for conv in self.convs:
                maps = self.relu(conv(maps))
            return self.fc(maps.mean(dim=(2, 3)))

    model = Shared()
    images = torch.randn(2, *SHAPE)
    preactivation = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images).preactivation
    maps = images
    for conv, before in zip(model.convs, preactivation, strict=True):
        assert torch.equal(before, conv(maps))
        maps = conv(maps).relu()


class Fickle(nn.Module):
    """Closes its stage with a module in evaluation and with a function in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2, stride=2)
        self.relu = nn.ReLU()
        self.keep = nn.Identity()
        self.fc = nn.Linear(256, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        maps = F.relu(maps) if self.training else self.relu(maps)
        return self.fc(self.keep(maps).flatten(1))


def test_an_activation_that_is_not_always_called_is_an_error_not_a_gap() -> None:
    network = TappedNetwork(Fickle(), "test", of_images(SHAPE), 5).eval()
    images = torch.randn(2, *SHAPE)
    assert (network.trace(images).preactivation[0] < 0).any()
    with pytest.raises(ModelError, match="Fickle does not call the same layers"):
        network.train().trace(images)
