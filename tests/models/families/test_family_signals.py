"""Where the families' stages and pre-activations are read, as the published results have it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.models import Network, blueprint, build_network, of_images
from kdsearch.spec.concrete import ModelConfig

SHAPE = (3, 32, 32)


def network_of(family: str, width: float = 0.5, depth: int | None = None) -> Network:
    """In eval mode, with normalisations that are not those of the start."""
    torch.manual_seed(0)
    network = build_network(
        ModelConfig(family=family, width=width, depth=depth), of_images(SHAPE), 10
    )
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_()
        network(torch.randn(4, *SHAPE))
    return network.eval()


@pytest.mark.parametrize(
    ("family", "width", "depth", "features"),
    [
        ("resnet", 1, 20, ((16, 32, 32), (32, 16, 16), (64, 8, 8))),
        ("wide_resnet", 2, 16, ((32, 32, 32), (64, 16, 16), (128, 8, 8))),
        ("vgg", 1, 13, ((128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 4, 4))),
        ("mobilenet_v2", 0.5, None, ((12, 16, 16), (16, 8, 8), (48, 4, 4), (160, 2, 2))),
        ("shufflenet_v1", 1, None, ((240, 16, 16), (480, 8, 8), (960, 4, 4))),
        ("shufflenet_v2", 1, None, ((116, 16, 16), (232, 8, 8), (464, 4, 4))),
        (
            "bottleneck_resnet",
            1,
            50,
            ((256, 32, 32), (512, 16, 16), (1024, 8, 8), (2048, 4, 4)),
        ),
    ],
)
def test_stages_are_those_of_the_public_implementations(
    family: str, width: float, depth: int | None, features: tuple
) -> None:
    config = ModelConfig(family=family, width=width, depth=depth)
    assert blueprint(config, of_images(SHAPE), 100).signal_shapes().maps == features


@pytest.mark.parametrize(
    "family", ["resnet", "bottleneck_resnet", "vgg", "shufflenet_v1", "convnet", "mlp"]
)
def test_rectified_stages_are_the_rectified_preactivations(family: str) -> None:
    depth = 26 if family == "bottleneck_resnet" else None
    trace = network_of(family, depth=depth).trace(torch.randn(2, *SHAPE))
    for before, after in zip(trace.preactivation, trace.features, strict=True):
        assert (before < 0).any()
        assert torch.equal(before.relu(), after)


@pytest.mark.parametrize("depth", [10, 16])
@pytest.mark.parametrize("training", [True, False])
def test_wide_resnets_preactivation_is_behind_the_next_blocks_first_normalisation(
    depth: int, training: bool
) -> None:
    network = network_of("wide_resnet", depth=depth).train(training)
    images = torch.randn(4, *SHAPE)
    trace = network.trace(images)
    for number in (0, 1):
        norm = network.stages[number + 1][0].bn1.train(training)
        steps = int(norm.num_batches_tracked)
        assert torch.allclose(norm(trace.features[number]), trace.preactivation[number])
        assert steps == 1 + training  # once in a forward pass
    assert torch.equal(trace.preactivation[2].relu(), trace.features[2])
    with torch.no_grad():
        maps = images
        for stage in network.eval().stages:
            for layer in stage:
                maps = layer(maps)
        assert torch.allclose(network.trace(images).features[-1], maps, atol=1e-5)


def test_shufflenet_v2s_preactivation_has_the_filtered_half_before_its_relu() -> None:
    network = network_of("shufflenet_v2")
    trace = network.trace(torch.randn(2, *SHAPE))
    for before, after in zip(trace.preactivation, trace.features, strict=True):
        assert torch.equal(before[:, ::2], after[:, ::2])
        assert (before[:, 1::2] < 0).any()
        assert torch.equal(before[:, 1::2].relu(), after[:, 1::2])


def test_mobilenet_v2s_linear_bottlenecks_stand_for_themselves() -> None:
    trace = network_of("mobilenet_v2").trace(torch.randn(2, *SHAPE))
    for before, after in zip(trace.preactivation, trace.features, strict=True):
        assert before is after
        assert (after < 0).any()


def test_shufflenet_v1_joins_the_pooled_map_where_it_shrinks() -> None:
    unit = network_of("shufflenet_v1").stages[1][0]
    maps = torch.rand(2, 120, 8, 8)
    out = unit(maps)
    assert out.shape == (2, 240, 4, 4)
    assert torch.equal(out[:, 120:], F.avg_pool2d(maps, 3, 2, padding=1).relu())
