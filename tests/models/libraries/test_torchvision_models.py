"""torchvision's models as networks."""

from __future__ import annotations

import pytest
import torch
import torchvision.models
from torch import nn

from kdsearch.errors import ModelError
from kdsearch.models import Signal, build_network, measure, measure_config, of_images
from kdsearch.models.libraries.torchvision_models import names
from kdsearch.spec.concrete import ModelConfig

SHAPE = (3, 64, 64)


def test_all_classification_models_are_offered() -> None:
    assert {"torchvision/resnet18", "torchvision/vit_b_16"} <= set(names())
    assert not any("segmentation" in name or "quantized" in name for name in names())


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenet_v2", "efficientnet_b0", "squeezenet1_0", "vit_b_16", "googlenet"],
)
def test_sizes_are_those_that_torchvision_publishes(name: str) -> None:
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    measured = measure_config(
        ModelConfig(family=f"torchvision/{name}"), of_images((3, 224, 224)), 1000
    )
    assert measured.parameters == published["num_params"]
    assert measured.macs / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "embedding", "features"),
    [
        ("resnet18", 512, ((64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2))),
        ("mobilenet_v2", 1280, ((24, 16, 16), (32, 8, 8), (96, 4, 4), (320, 2, 2))),
        ("efficientnet_b0", 1280, ((24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2))),
        ("squeezenet1_0", 512, ((96, 29, 29), (256, 14, 14), (512, 7, 7), (512, 3, 3))),
        ("vit_b_16", 768, ()),
        ("swin_t", 768, ((96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2))),
    ],
)
def test_taps_find_the_published_stages(name: str, embedding: int, features: tuple) -> None:
    with torch.device("meta"):
        network = build_network(ModelConfig(family=f"torchvision/{name}"), of_images(SHAPE), 10)
    shapes = network.signal_shapes()
    assert (shapes.classes, shapes.embedding) == (10, embedding)
    assert shapes.maps == features


def test_resnet18_is_torchvisions_own_with_its_layers_as_stages() -> None:
    torch.manual_seed(3)
    network = build_network(ModelConfig(family="torchvision/resnet18"), of_images(SHAPE), 10).eval()
    torch.manual_seed(3)
    reference = torchvision.models.resnet18(num_classes=10).eval()
    images = torch.randn(2, *SHAPE)
    with torch.no_grad():
        signals = network.observe({"image": images}, set(Signal))
        maps = reference.maxpool(reference.relu(reference.bn1(reference.conv1(images))))
        for index, stage in enumerate(signals.features, start=1):
            maps = getattr(reference, f"layer{index}")(maps)
            assert torch.equal(stage, maps)
        pooled = maps.mean(dim=(2, 3))
        assert torch.allclose(signals.embedding, pooled, atol=1e-6)
        assert torch.allclose(signals.logits, reference(images), atol=1e-6)


def resnet18_parameters(width: float, channels: int, classes: int) -> int:
    """By hand: a 7×7 stem, four layers of two basic blocks, projections where shapes change."""
    stages = [int(base * width) for base in (64, 128, 256, 512)]
    total = channels * stages[0] * 49 + 2 * stages[0]
    inputs = stages[0]
    for outputs in stages:
        total += 9 * inputs * outputs + 3 * 9 * outputs**2 + 4 * 2 * outputs
        total += inputs * outputs + 2 * outputs if inputs != outputs else 0
        inputs = outputs
    return total + (inputs + 1) * classes


@pytest.mark.parametrize(("width", "channels"), [(1, 3), (1, 1), (0.5, 3), (0.25, 1), (2, 3)])
def test_resnet18_at_other_widths_and_channels(width: float, channels: int) -> None:
    config = ModelConfig(family="torchvision/resnet18", width=width)
    measured = measure_config(config, of_images((channels, 64, 64)), 10)
    assert measured.parameters == resnet18_parameters(width, channels, 10)


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "shufflenet_v2_x1_0", "densenet121", "regnet_y_400mf", "vgg11"]
)
@pytest.mark.parametrize("width", [0.3, 1.5])
def test_many_models_have_a_width_knob(name: str, width: float) -> None:
    config = ModelConfig(family=f"torchvision/{name}", width=width)
    whole = measure_config(ModelConfig(family=f"torchvision/{name}"), of_images((1, 64, 64)), 10)
    measured = measure_config(config, of_images((1, 64, 64)), 10)
    # weights between channels grow with the square of the width, other parameters linearly
    low, high = sorted((width, width**2))
    assert 0.7 * low < measured.parameters / whole.parameters < 1.3 * high


def test_a_rescaled_model_has_sound_first_weights_and_trains() -> None:
    config = ModelConfig(family="torchvision/mobilenet_v2", width=0.25)
    torch.manual_seed(0)
    network = build_network(config, of_images((1, 32, 32)), 10)
    torch.manual_seed(0)
    again = build_network(config, of_images((1, 32, 32)), 10)
    states = zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in states)
    stem = network.model.features[0]
    assert stem[0].weight.std().item() == pytest.approx((2 / (8 * 9)) ** 0.5, rel=0.35)
    assert stem[1].weight.tolist() == stem[1].running_var.tolist() == [1.0] * 8
    assert stem[1].running_mean.tolist() == stem[1].bias.tolist() == [0.0] * 8
    network(torch.randn(4, 1, 32, 32)).square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        ({"family": "torchvision/resnet19"}, SHAPE, "did you mean 'torchvision/resnet1"),
        ({"family": "torchvision/resnet18", "depth": 18}, SHAPE, "leave depth out"),
        ({"family": "torchvision/alexnet"}, (1, 8, 8), "alexnet cannot take images of 8×8"),
        ({"family": "torchvision/vit_b_16"}, (3, 30, 30), "vit_b_16 cannot be built for .*30×30"),
        ({"family": "torchvision/vit_b_16"}, (3, 32, 64), "give square ones"),
        (
            {"family": "torchvision/vit_b_16", "width": 0.5},
            (3, 32, 32),
            "no width knob at width 0.5",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(config: dict, shape: tuple, message: str) -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=message):
        build_network(ModelConfig(**config), of_images(shape), 10)


def test_auxiliary_classifiers_are_left_out() -> None:
    with torch.device("meta"):
        network = build_network(
            ModelConfig(family="torchvision/inception_v3"), of_images((3, 96, 96)), 10
        )
    published = torchvision.models.inception_v3(num_classes=10, init_weights=False)
    auxiliary = sum(parameter.numel() for parameter in published.AuxLogits.parameters())
    whole = sum(parameter.numel() for parameter in published.parameters())
    assert measure(network).parameters == whole - auxiliary


@pytest.mark.parametrize("width", [0.25, 0.3, 0.75, 1.5])
def test_split_and_concatenated_channels_scale(width: float) -> None:
    """A ShuffleNet's depthwise convolutions take half of what was concatenated before."""
    config = ModelConfig(family="torchvision/shufflenet_v2_x1_0", width=width)
    network = build_network(config, of_images((3, 32, 32)), 10).eval()
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    depthwise = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert depthwise
    assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == measure_config(config, of_images((3, 32, 32)), 10).parameters
