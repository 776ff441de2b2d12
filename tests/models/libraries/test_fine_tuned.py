"""Common networks, fine-tuned elsewhere and saved by torch.save, as teachers as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
import transformers
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from kdsearch.models import Signal, build_network
from kdsearch.models.inputs import of_images
from kdsearch.models.weights import load_weights
from kdsearch.spec.concrete import ModelConfig

CLASSES, SIDE = 6, 64

RESNET = ("layer1", "layer2", "layer3", "layer4")

NETWORKS: dict[str, tuple[str, ...] | None] = {
    "torchvision/resnet18": RESNET,
    "torchvision/resnet50": RESNET,
    "torchvision/wide_resnet50_2": RESNET,
    "torchvision/resnext50_32x4d": RESNET,
    "torchvision/vgg16_bn": ("features.22", "features.32", "features.42", "features.43"),
    "torchvision/mobilenet_v2": ("features.3", "features.6", "features.13", "features.17"),
    "torchvision/mobilenet_v3_small": ("features.1", "features.3", "features.8", "features.11"),
    "torchvision/shufflenet_v2_x1_0": ("maxpool", "stage2", "stage3", "stage4"),
    "torchvision/efficientnet_b0": ("features.2", "features.3", "features.5", "features.7"),
    "torchvision/mnasnet0_5": ("layers.8", "layers.9", "layers.11", "layers.13"),
    "torchvision/regnet_y_400mf": tuple(f"trunk_output.block{number}" for number in range(1, 5)),
    "torchvision/convnext_tiny": ("features.1", "features.3", "features.5", "features.7"),
    "torchvision/vit_b_32": (),
    "timm/resnet18": RESNET,
    "timm/resnet50d": RESNET,
    "timm/mobilenetv3_small_100": None,
    "timm/efficientnet_lite0": None,
    "timm/repvgg_a0": None,
    "timm/convnext_atto": None,
    "timm/vit_tiny_patch16_224": (),
}
"""Each with the modules that end a resolution, as its authors name them; of timm's others, their
own ``features_only`` networks tell the maps."""


def fine_tuned(family: str) -> nn.Module:
    """The library's own network with other weights and batch statistics than a fresh one."""
    library, name = family.split("/")
    sized = {"img_size": SIDE} if name == "vit_tiny_patch16_224" else {}
    torch.manual_seed(0)
    if library == "timm":
        model: nn.Module = timm.create_model(name, num_classes=CLASSES, **sized)
    else:
        sized = {"image_size": SIDE} if name.startswith("vit") else {}
        model = torchvision.models.get_model(name, num_classes=CLASSES, **sized)
    with torch.no_grad():
        model.train()(torch.randn(8, 3, SIDE, SIDE))
    return model.eval()


def maps_of(family: str, model: nn.Module, images: torch.Tensor) -> list[torch.Tensor] | None:
    """The outputs of the modules that end a resolution, read without kdsearch."""
    places = NETWORKS[family]
    if places is not None and not family.startswith("timm/"):
        extractor = create_feature_extractor(model, list(places)) if places else None
        return [] if extractor is None else list(extractor(images).values())
    if places == ():
        return []
    own = timm.create_model(family.split("/")[1], features_only=True).eval()
    own.load_state_dict(model.state_dict(), strict=False)
    return list(own(images))[-4:] if places is not None else None


@pytest.mark.parametrize("family", NETWORKS)
def test_a_fine_tuned_network_teaches_as_it_is(family: str, tmp_path: Path) -> None:
    model = fine_tuned(family)
    torch.save(model.state_dict(), tmp_path / "teacher.pth")
    torch.manual_seed(1)
    network = build_network(ModelConfig(family=family), of_images((3, SIDE, SIDE)), CLASSES).eval()
    load_weights(network, tmp_path / "teacher.pth", "the teacher")
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        found = network.observe({"image": images}, {Signal.FEATURES})
        expected = maps_of(family, model, images)
        torch.testing.assert_close(found.logits, model(images), rtol=1e-5, atol=1e-5)
    if expected is None:
        info = timm.create_model(family.split("/")[1], features_only=True).feature_info
        assert [each.shape[1] for each in found.features] == info.channels()[-4:]
        return
    assert len(found.features) == len(expected)
    for one, other in zip(found.features, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet", "convnext", "regnet"])
def test_stages_of_transformers_are_its_hidden_states(name: str, tmp_path: Path) -> None:
    """What the library itself calls hidden states: behind the stem, and behind each stage."""
    config = transformers.CONFIG_MAPPING[name](num_labels=CLASSES)
    torch.manual_seed(0)
    model = transformers.AutoModelForImageClassification.from_config(config)
    model.eval()
    torch.save(model.state_dict(), tmp_path / "teacher.pth")
    family = ModelConfig(family=f"hf/{name}")
    network = build_network(family, of_images((3, SIDE, SIDE)), CLASSES).eval()
    load_weights(network, tmp_path / "teacher.pth", "the teacher")
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        found = network.observe({"image": images}, {Signal.FEATURES})
        expected = model(images, output_hidden_states=True)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-5, atol=1e-5)
    assert len(found.features) == 4
    for one, other in zip(found.features, expected.hidden_states[-4:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
