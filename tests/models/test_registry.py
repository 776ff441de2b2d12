"""What every family keeps, whatever the images; and what the registry refuses."""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import pytest
import torch

from kdsearch import plugins
from kdsearch.errors import ModelError
from kdsearch.models import FAMILIES, Signal, blueprint, build_network, measure_config, of_images
from kdsearch.spec.concrete import ModelConfig

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]
DEPTHS = {
    "resnet": 8,
    "bottleneck_resnet": 26,
    "wide_resnet": 10,
    "vgg": 8,
    "mobilenet_v2": None,
    "shufflenet_v1": None,
    "shufflenet_v2": None,
    "convnet": 3,
    "mlp": 2,
}
"""A quick depth of each family."""


def test_every_family_is_covered_and_none_can_be_added() -> None:
    assert set(FAMILIES) == set(DEPTHS)
    with pytest.raises(TypeError):
        FAMILIES["mine"] = FAMILIES["mlp"]  # type: ignore[index]


@pytest.fixture(params=sorted(DEPTHS))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("shape", SHAPES, ids=str)
class TestOnImages:
    def config(self, family: str, width: float = 0.5) -> ModelConfig:
        return ModelConfig(family=family, width=width, depth=DEPTHS[family])

    def test_shapes_are_those_declared(self, family: str, shape: tuple[int, int, int]) -> None:
        network = build_network(self.config(family), of_images(shape), 10)
        shapes = network.signal_shapes()
        signals = network.observe({"image": torch.randn(3, *shape)}, set(Signal))
        assert signals.logits is not None
        assert signals.logits.shape == (3, 10) == (3, shapes.classes)
        assert signals.embedding is not None
        assert signals.embedding.shape == (3, shapes.embedding)
        assert [f.shape for f in signals.features] == [(3, *f) for f in shapes.maps]
        assert [a.shape for a in signals.attention] == [(3, *f[1:]) for f in shapes.maps]
        assert torch.isfinite(signals.logits).all()

    def test_embedding_is_the_pooled_last_map_or_head_and_feeds_the_classifier(
        self, family: str, shape: tuple[int, int, int]
    ) -> None:
        network = build_network(self.config(family), of_images(shape), 10).eval()
        logits, embedding, features, *_ = network.trace(torch.randn(2, *shape))
        head = getattr(network, "head_layers", torch.nn.Identity())
        assert network.pools_last_map == (family not in ("mobilenet_v2", "shufflenet_v2"))
        assert torch.allclose(embedding, head(features[-1]).mean(dim=(2, 3)))
        weight, bias = network.classifier.weight, network.classifier.bias
        assert torch.allclose(logits, embedding @ weight.T + bias, atol=1e-6)

    def test_maps_shrink_but_never_below_two_by_two(
        self, family: str, shape: tuple[int, int, int]
    ) -> None:
        features = build_network(self.config(family), of_images(shape), 10).signal_shapes().maps
        sides = [height for _, height, _ in features]
        assert sides == sorted(sides, reverse=True)
        assert (min(sides) >= 2 and sides[0] > sides[-1]) or family == "mlp"

    def test_size_grows_with_width(self, family: str, shape: tuple[int, int, int]) -> None:
        sizes = [
            measure_config(self.config(family, w), of_images(shape), 10) for w in (0.3, 0.5, 1, 2)
        ]
        for smaller, larger in itertools.pairwise(sizes):
            assert smaller.parameters < larger.parameters
            assert smaller.macs < larger.macs
            assert smaller.bytes < larger.bytes

    def test_gradient_reaches_every_weight(self, family: str, shape: tuple[int, int, int]) -> None:
        network = build_network(self.config(family), of_images(shape), 10)
        network(torch.randn(4, *shape)).square().sum().backward()
        assert all(weight.grad is not None for weight in network.parameters())


def test_first_weights_follow_the_seed(family: str) -> None:
    config = ModelConfig(family=family, width=0.5, depth=DEPTHS[family])
    states = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        states.append(build_network(config, of_images((1, 8, 8)), 10).state_dict())
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_default_depth_is_the_depth_when_none_is_given(family: str) -> None:
    default = FAMILIES[family].default_depth
    absent = measure_config(ModelConfig(family=family), of_images((1, 8, 8)), 10)
    assert absent == measure_config(
        ModelConfig(family=family, depth=default), of_images((1, 8, 8)), 10
    )
    assert default is None or default in FAMILIES[family].depths


def test_unknown_family_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'resnet'"):
        build_network(ModelConfig(family="resnets"), of_images((1, 8, 8)), 10)
    with pytest.raises(ModelError, match="did you mean 'torchvision/resnet18'"):
        build_network(ModelConfig(family="resnet18"), of_images((1, 8, 8)), 10)


@pytest.mark.parametrize(
    ("name", "searches"),
    [("convnet", False), ("torchvision/resnet18", False), ("no_such_family", True)],
)
def test_installed_packages_are_searched_only_for_other_names(
    name: str, searches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(plugins, "entry_points", lambda group: asked.append(group) or [])
    with pytest.raises(ModelError) if searches else nullcontext():
        blueprint(ModelConfig(family=name), of_images((3, 32, 32)), 10)
    assert bool(asked) == searches


@pytest.mark.parametrize(
    ("name", "depth", "message"),
    [
        ("resnet", 21, "nearest valid depths are 20 and 26"),
        ("resnet", 500, "nearest valid depths are 104 and 110"),
        ("wide_resnet", 15, "nearest valid depths are 10 and 16"),
        ("vgg", 12, "nearest valid depths are 11 and 13"),
        ("mobilenet_v2", 3, "leave depth out"),
        ("convnet", 9, "nearest valid depths are 5 and 6"),
    ],
)
def test_wrong_depth_names_the_nearest(name: str, depth: int, message: str) -> None:
    with pytest.raises(ModelError, match=f"{name} .*{message}"):
        build_network(ModelConfig(family=name, depth=depth), of_images((3, 32, 32)), 10)


def test_width_without_channels_names_a_width_that_works(family: str) -> None:
    with pytest.raises(ModelError, match=rf"{family} at width 1e-05 .* works is \d") as caught:
        build_network(ModelConfig(family=family, width=1e-5), of_images((1, 8, 8)), 10)
    smallest = float(str(caught.value).rsplit(" ", 1)[1])
    shape = (1, 8, 8)
    assert build_network(ModelConfig(family=family, width=smallest), of_images(shape), 10)(
        torch.zeros(2, *shape)
    ).shape == (2, 10)
    with pytest.raises(ModelError):
        build_network(ModelConfig(family=family, width=smallest - 2e-5), of_images(shape), 10)


def test_too_small_images_are_refused_by_all_but_the_perceptron(family: str) -> None:
    config = ModelConfig(family=family)
    if family == "mlp":
        network = build_network(config, of_images((1, 1, 3)), 2)
        assert network(torch.zeros(2, 1, 1, 3)).shape == (2, 2)
        return
    assert build_network(config, of_images((1, 4, 9)), 2)(torch.zeros(2, 1, 4, 9)).shape == (2, 2)
    with pytest.raises(ModelError, match=f"{family} cannot take images of 3×9 pixels"):
        build_network(config, of_images((1, 3, 9)), 2)


@pytest.mark.parametrize(("shape", "classes"), [((0, 8, 8), 10), ((1, 8, 8), 0), ((8, 8), 10)])
def test_impossible_images_or_classes_are_refused(shape: tuple, classes: int) -> None:
    with pytest.raises(ModelError, match="at least 1"):
        build_network(ModelConfig(family="mlp"), of_images(shape), classes)
