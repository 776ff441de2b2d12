import math

import numpy as np
import pytest
import torch
from torch import nn

from kdsearch.compression import Samples, check_cut, cut
from kdsearch.compression.layers import NORMALISATIONS
from kdsearch.errors import ModelError
from kdsearch.models import Network, build_network, of_images
from kdsearch.models.dry_run import evaluating
from kdsearch.spec.concrete import ModelConfig

CLASSES = 7


def network_of(family: str, side: int, seed: int = 0, **values: float) -> Network:
    """A network in which what is zero stays zero: no biases, no means, no shifts."""
    torch.manual_seed(seed)
    config = ModelConfig(family=family, **values)
    network = build_network(config, of_images((3, side, side)), CLASSES)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, NORMALISATIONS):
                layer.weight.uniform_(0.5, 1.5)
                layer.running_var.uniform_(0.5, 2.0)
            if getattr(layer, "bias", None) is not None:
                layer.bias.zero_()
    return network.eval()


def counts(network: Network) -> dict[str, int]:
    """Outputs of each layer."""
    return {
        name: len(layer.weight)
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear, *NORMALISATIONS))
    }


def silence(source: Network, target: Network, block: int, scales: bool) -> None:
    """Set to zero, in the wider network, as many outputs of each layer as the narrower one lacks.

    Of layers with equal counts the same ones, so that sums and products stay zero there; which
    ones, is drawn, in whole blocks.
    """
    narrower = counts(target)
    with torch.no_grad():
        for name, count in counts(source).items():
            order = np.random.default_rng(count).permutation(count // block)
            lacking = (count - narrower[name]) // block
            silent = [block * b + i for b in order[:lacking] for i in range(block)]
            layer = source.get_submodule(name)
            if scales or not isinstance(layer, NORMALISATIONS):
                layer.weight[silent] = 0.0


def images_of(side: int) -> torch.Tensor:
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(3))


def samples(images: torch.Tensor) -> Samples:
    """Images of the classes 0, 1, 2 and so on."""
    labels = torch.arange(len(images)) % CLASSES
    return Samples({"image": images}, lambda outputs: nn.functional.cross_entropy(outputs, labels))


def outputs(network: Network, side: int) -> torch.Tensor:
    with evaluating(network):
        return network(images_of(side))


FAMILIES = [
    ("mlp", 8, 0.5, 1),
    ("convnet", 16, 0.4, 1),
    ("resnet", 16, 0.5, 1),
    ("bottleneck_resnet", 16, 0.5, 1),
    ("vgg", 16, 0.3, 1),
    ("mobilenet_v2", 16, 0.5, 1),
    ("torchvision/resnet18", 32, 0.5, 1),
    ("torchvision/mobilenet_v2", 32, 0.4, 1),
    ("torchvision/efficientnet_b0", 32, 0.5, 1),
    ("torchvision/densenet121", 32, 0.5, 1),
    ("torchvision/mobilenet_v3_small", 32, 0.5, 1),
    ("torchvision/squeezenet1_1", 32, 0.5, 1),
    ("torchvision/alexnet", 64, 0.1, 1),
    # whole groups of grouped convolutions
    ("torchvision/resnext50_32x4d", 32, 0.5, 32),
    ("torchvision/regnet_y_400mf", 32, 0.5, 8),
]


@pytest.mark.parametrize(("family", "side", "width", "block"), FAMILIES)
def test_without_its_silent_channels_a_network_computes_the_same(family, side, width, block):
    source, target = network_of(family, side), network_of(family, side, seed=1, width=width)
    silence(source, target, block, scales=False)
    before = outputs(source, side)
    # what is dead on these images is as good as silent
    cut(source, target, "activation", [samples(images_of(side))])
    torch.testing.assert_close(outputs(target, side), before, rtol=1e-3, atol=1e-4 * before.std())
    assert torch.equal(outputs(source, side), before)
    assert before.std() > 0


@pytest.mark.parametrize("family", ["convnet", "resnet", "vgg", "torchvision/resnet18"])
def test_channels_whose_scale_is_zero_are_dropped(family):
    source, target = network_of(family, 32), network_of(family, 32, seed=1, width=0.5)
    silence(source, target, 1, scales=True)
    cut(source, target, "bn_scale")
    before = outputs(source, 32)
    torch.testing.assert_close(outputs(target, 32), before, rtol=1e-3, atol=1e-4 * before.std())


def best(scores: np.ndarray, count: int) -> list[int]:
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def squares(network: Network, layer: str, columns: bool) -> np.ndarray:
    """Sums of squared weights of each input, or each output, of a layer."""
    weight = network.get_submodule(layer).weight.detach().double().numpy()
    other = tuple(d for d in range(weight.ndim) if d != int(columns))
    return (weight**2).sum(axis=other)


def test_magnitude_is_the_norm_of_all_that_makes_or_reads_a_channel():
    source, target = network_of("resnet", 16, depth=8), network_of("resnet", 16, depth=8, width=0.5)
    kept = {
        (s.layer, s.end): places.tolist() for s, places in cut(source, target, "magnitude").items()
    }
    # the first stage: the stem and the block's sum
    made = ["stages.0.0", "stages.0.3.conv2"]
    read = ["stages.0.3.conv1", "stages.1.0.conv1", "stages.1.0.shortcut.0"]
    norms = sum(squares(source, n, False) for n in made) + sum(
        squares(source, n, True) for n in read
    )
    assert kept["stages.0.0", "out"] == best(np.sqrt(norms), 8)
    for name in made:
        assert kept[name, "out"] == kept["stages.0.0", "out"]
    for name in read:
        assert kept[name, "in"] == kept["stages.0.0", "out"]
    # inside of a block
    inner = squares(source, "stages.2.0.conv1", False) + squares(source, "stages.2.0.conv2", True)
    assert kept["stages.2.0.conv1", "out"] == best(inner, 32) == kept["stages.2.0.bn1", "both"]
    assert kept["classifier", "out"] == list(range(CLASSES))
    last = kept["classifier", "in"]
    theirs = source.classifier.weight[:, last]
    assert torch.equal(target.classifier.weight, theirs)


def test_scales_are_averaged_over_all_normalisations_of_a_channel():
    source, target = network_of("resnet", 16, depth=8), network_of("resnet", 16, depth=8, width=0.5)
    kept = {s.layer: places.tolist() for s, places in cut(source, target, "bn_scale").items()}
    scales = [source.get_submodule(n).weight for n in ("stages.0.1", "stages.0.3.bn2")]
    mean = torch.stack(scales).abs().mean(dim=0).detach().double().numpy()
    assert kept["stages.0.1"] == best(mean, 8)


def test_activations_are_those_that_the_next_layers_read():
    source, target = network_of("convnet", 16), network_of("convnet", 16, width=0.5)
    images = [torch.randn(4, 3, 16, 16) for _ in range(2)]
    places = cut(source, target, "activation", [samples(each) for each in images])
    with evaluating(source):
        maps = torch.cat([source.stages[0](each)[0] for each in images])
    mean = maps.abs().mean(dim=(0, 2, 3)).double().numpy()
    kept = next(p.tolist() for s, p in places.items() if (s.layer, s.end) == ("stages.1.0", "in"))
    assert kept == best(mean, 8)


def test_taylor_is_the_norm_of_weights_times_gradients():
    source = network_of("mlp", 4, depth=1)
    target = network_of("mlp", 4, depth=1, width=0.5)
    images = [torch.randn(5, 3, 4, 4) for _ in range(2)]
    places = cut(source, target, "taylor", [samples(each) for each in images])
    first, last = source.stages[0], source.classifier
    weights = [layer.weight.detach().double().numpy() for layer in (first, last)]
    products = [np.zeros_like(weight) for weight in weights]
    for each in images:  # the gradients by hand: linear, ReLU, linear, softmax
        inputs = each.flatten(1).double().numpy()
        hidden = np.maximum(inputs @ weights[0].T, 0)
        logits = hidden @ weights[1].T
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        outer = (chances - np.eye(CLASSES)[: len(inputs)]) / len(inputs)
        inner = (outer @ weights[1]) * (hidden > 0)
        products[0] += weights[0] * (inner.T @ inputs) / len(images)
        products[1] += weights[1] * (outer.T @ hidden) / len(images)
    norms = (products[0] ** 2).sum(axis=1) + (products[1] ** 2).sum(axis=0)
    kept = next(p.tolist() for s, p in places.items() if (s.layer, s.end) == ("classifier", "in"))
    assert kept == best(norms, target.classifier.in_features)
    magnitudes = (weights[0] ** 2).sum(axis=1) + (weights[1] ** 2).sum(axis=0)
    assert kept != best(magnitudes, len(kept))


@pytest.mark.parametrize("importance", ["magnitude", "taylor"])
def test_modes_and_frozen_weights_stay_as_they_are(importance):
    source, target = network_of("resnet", 16), network_of("resnet", 16, width=0.5)
    source.requires_grad_(False)
    target.train()
    cut(source, target, importance, [samples(images_of(16))])
    assert all(weight.grad is None for weight in source.parameters())
    assert not any(weight.requires_grad for weight in source.parameters())
    assert all(weight.requires_grad for weight in target.parameters())
    assert target.training
    assert not source.training


@pytest.mark.parametrize(
    ("family", "wider", "narrower", "reason"),
    [
        ("shufflenet_v1", {}, {"width": 0.5}, "shuffled"),
        ("shufflenet_v2", {}, {"width": 0.5}, "shuffled"),
        ("wide_resnet", {"width": 2}, {"width": 1}, "shortcut is in one of the two networks alone"),
        ("vgg", {"depth": 8}, {"depth": 11, "width": 0.5}, "alone"),
        ("resnet", {"width": 0.5}, {}, "and the wider network 8"),
    ],
)
def test_what_cannot_be_cut_is_refused(family, wider, narrower, reason):
    source, target = network_of(family, 16, **wider), network_of(family, 16, **narrower)
    with pytest.raises(ModelError, match=rf"{family} cannot be cut from a wider network.*{reason}"):
        check_cut(source, target)


class Normalised(Network):
    """A layer normalisation, which computes with all channels, between two layers."""

    def __init__(self, units: int) -> None:
        super().__init__(of_images((1, 2, 2)), CLASSES)
        self.first, self.norm = nn.Linear(4, units), nn.LayerNorm(units)
        self.last = nn.Linear(units, CLASSES)

    def trace(self, images):
        raise NotImplementedError

    def forward(self, images):
        return self.last(self.norm(self.first(images.flatten(1))))


def test_layer_normalisation_is_refused():
    with pytest.raises(ModelError, match=r"norm\.weight changes with the width, and a LayerNorm"):
        check_cut(Normalised(8), Normalised(4))


def test_scales_need_batch_normalisation():
    source, target = network_of("mlp", 8), network_of("mlp", 8, width=0.5)
    with pytest.raises(ModelError, match=r"bn_scale needs batch normalisation, and mlp has none"):
        cut(source, target, "bn_scale")


@pytest.mark.parametrize("importance", ["activation", "taylor"])
def test_what_is_measured_needs_batches(importance):
    source, target = network_of("mlp", 8), network_of("mlp", 8, width=0.5)
    with pytest.raises(ModelError, match=f"{importance} needs batches of training samples"):
        cut(source, target, importance)


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "vgg"])
def test_the_check_finds_sound_pairs(family):
    source, target = network_of(family, 32), network_of(family, 32, width=0.5)
    check_cut(source, target)
    assert math.isfinite(float(outputs(target.float(), 32).sum()))
