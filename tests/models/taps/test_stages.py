"""Stages of many architectures against what their authors name, without weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models import Signal, build_network, of_images
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.spec.concrete import ModelConfig

timm = pytest.importorskip("timm")

TORCHVISION = {
    "resnet18": "layer1 layer2 layer3 layer4",
    "resnet50": "layer1 layer2 layer3 layer4",
    "wide_resnet50_2": "layer1 layer2 layer3 layer4",
    "resnext50_32x4d": "layer1 layer2 layer3 layer4",
    "mobilenet_v2": "features.3 features.6 features.13 features.17",
    "mobilenet_v3_large": "features.3 features.6 features.12 features.15",
    "mobilenet_v3_small": "features.1 features.3 features.8 features.11",
    "efficientnet_b0": "features.2 features.3 features.5 features.7",
    "efficientnet_v2_s": "features.2 features.3 features.5 features.6",
    "densenet121": "features.denseblock1 features.denseblock2 features.denseblock3 features.norm5",
    "vgg11_bn": "features.13 features.20 features.27 features.28",
    "googlenet": "conv3 inception3b inception4e inception5b",
    "inception_v3": "Conv2d_4a_3x3 Mixed_5d Mixed_6e Mixed_7c",
    "mnasnet1_0": "layers.8 layers.9 layers.11 layers.13",
    # Its own three stages; what is pooled before them is the fourth map from behind.
    "shufflenet_v2_x1_0": "maxpool stage2 stage3 stage4",
    "regnet_y_400mf": " ".join(f"trunk_output.block{number}" for number in (1, 2, 3, 4)),
    "convnext_tiny": "features.1 features.3 features.5 features.7",
    "swin_t": "features.1 features.3 features.5 permute",
    "vit_b_16": "",
}
"""The layers that torchvision's authors close a stage with."""

TIMM = [
    "resnet50",
    "resnet50d",
    "resnetv2_50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "seresnet50",
    "res2net50_26w_4s",
    "tresnet_m",
    "dla34",
    "densenet121",
    "vgg11_bn",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "mnasnet_100",
    "efficientnet_b0",
    "rexnet_100",
    "repvgg_a0",
    "regnety_004",
    "convnext_tiny",
    "inception_v3",
    "cspdarknet53",
    "vovnet39a",
    "dpn68",
    "swin_tiny_patch4_window7_224",
    "focalnet_tiny_srf",
    "pvt_v2_b0",
    "poolformer_s12",
    "coatnet_0_224",
]


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_stages_are_those_that_its_authors_name(name: str) -> None:
    with torch.device("meta"):
        network = build_network(
            ModelConfig(family=f"torchvision/{name}"), of_images((3, 256, 256)), 10
        )
    assert isinstance(network, TappedNetwork)
    assert [stage.tap.module for stage in network.taps.stages] == TORCHVISION[name].split()


@pytest.mark.parametrize("name", TIMM)
def test_timms_stages_have_the_channels_and_strides_of_its_feature_info(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=10)
        info = timm.create_model(name, features_only=True).feature_info
        side = model.default_cfg["input_size"][1]
        features = TappedNetwork(model, name, of_images((3, side, side)), 10).signal_shapes().maps
    assert [channels for channels, *_ in features] == info.channels()[-4:]
    for (_, height, _), stride in zip(features, info.reduction()[-4:], strict=True):
        assert height <= -(-side // stride)
        assert height > side // (2 * stride)


class Block(nn.Module):
    """A residual block that answers in a form of choice and may be skipped in training."""

    def __init__(self, channels: int, form: str = "map") -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.form = form
        self.skip = False

    def forward(self, given: Any) -> Any:
        maps = given if isinstance(given, Tensor) else find(given)
        if self.skip and self.training:
            return maps
        branch = self.conv(maps)
        out = self.relu(branch + maps)
        forms = {
            "map": out,
            "tuple": (out, branch),
            "list": [out, None],
            "out": {"branch": branch, "out": out},
        }
        return forms[self.form]


def find(given: Any) -> Tensor:
    return given["out"] if isinstance(given, dict) else given[0]


class Blocks(nn.Module):
    """Two resolutions of two blocks each; blocks may be passed over, in or before their call."""

    def __init__(self, form: str = "map") -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.first = nn.ModuleList(Block(4, form) for _ in range(2))
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.second = nn.ModuleList(Block(8, form) for _ in range(2))
        self.fc = nn.Linear(8, 5)
        self.passed_over: set[nn.Module] = set()

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.stem(maps)
        for blocks, then in ((self.first, self.down), (self.second, None)):
            for block in blocks:
                if self.training and block in self.passed_over:
                    continue
                maps = block(maps)
            maps = maps if isinstance(maps, Tensor) else find(maps)
            maps = maps if then is None else then(maps)
        return self.fc(maps.mean(dim=(2, 3)))


def test_all_forms_of_a_block_are_read_alike() -> None:
    images = torch.randn(2, 3, 8, 8)
    plain = Blocks()
    expected = TappedNetwork(plain, "test", of_images((3, 8, 8)), 5).trace(images)
    for form in ("tuple", "list", "out"):
        model = Blocks(form)
        model.load_state_dict(plain.state_dict())
        network = TappedNetwork(model, "test", of_images((3, 8, 8)), 5)
        assert [stage.tap.module for stage in network.taps.stages] == ["first.1", "second.1"]
        found = network.trace(images)
        for signal in ("features", "preactivation"):
            pairs = zip(getattr(found, signal), getattr(expected, signal), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("within", [True, False])
def test_blocks_skipped_at_random_leave_the_stage_to_the_block_before(within: bool) -> None:
    model = Blocks()
    network = TappedNetwork(model, "test", of_images((3, 8, 8)), 5).train()
    if within:
        model.second[1].skip = True
    else:
        model.passed_over.add(model.second[1])
    images = torch.randn(2, 3, 8, 8)
    _, _, features, preactivation, *_ = network.trace(images)
    last = model.second[0].conv(down := model.down(features[0])) + down
    assert torch.equal(preactivation[1], last)
    assert torch.equal(features[1], last.relu())


def test_a_stage_skipped_as_a_whole_fails_only_methods_that_read_it() -> None:
    model = Blocks()
    network = TappedNetwork(model, "test", of_images((3, 8, 8)), 5).train()
    model.passed_over |= set(model.second)
    images = torch.randn(2, 3, 8, 8)
    assert network.observe({"image": images}, {Signal.LOGITS}).logits.shape == (2, 5)
    assert network.observe({"image": images}, {Signal.EMBEDDING}).embedding.shape == (2, 8)
    with pytest.raises(ModelError, match="Blocks does not call the same layers"):
        network.observe({"image": images}, {Signal.ATTENTION})


def test_nothing_inner_is_hooked_where_logits_alone_are_wanted() -> None:
    model = Blocks()
    network = TappedNetwork(model, "test", of_images((3, 8, 8)), 5)
    counts: list[int] = []

    def count(*_: object) -> None:
        counts.append(sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in inner))

    inner = [part for part in model.modules() if part is not model]
    model.register_forward_pre_hook(count)
    network.observe({"image": torch.randn(2, 3, 8, 8)}, {Signal.LOGITS})
    network.observe({"image": torch.randn(2, 3, 8, 8)}, {Signal.EMBEDDING})
    network.observe({"image": torch.randn(2, 3, 8, 8)}, {Signal.FEATURES})
    assert counts == [0, 1, 4]


def test_a_container_that_shrinks_the_map_behind_its_blocks_is_looked_into() -> None:
    stages = [
        nn.Sequential(Block(4), Block(4), nn.Conv2d(4, 8, 2, stride=2)),
        nn.Sequential(Block(8), Block(8), nn.Conv2d(8, 16, 2, stride=2)),
        nn.Sequential(Block(16)),
    ]
    stem = nn.Conv2d(3, 4, 2, stride=2)
    model = nn.Sequential(stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    network = TappedNetwork(model, "test", of_images((3, 16, 16)), 5)
    assert [stage.tap.module for stage in network.taps.stages] == ["1.1", "2.1", "3"]
