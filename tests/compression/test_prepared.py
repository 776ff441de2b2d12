"""Networks that normalise and resize their images themselves are cut as others are."""

from __future__ import annotations

import torch

from kdsearch.compression import Samples, check_cut, cut
from kdsearch.models import Network, build_network, of_images
from kdsearch.models.dry_run import evaluating
from kdsearch.spec.concrete import ModelConfig, Normalisation

OWN = Normalisation(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def network_of(seed: int, side: int, width: float = 1) -> Network:
    torch.manual_seed(seed)
    config = ModelConfig(family="resnet", depth=8, width=width, image_size=side, normalise=OWN)
    inputs = of_images((3, 8, 8))
    network = build_network(config, inputs, 7)
    assert network.preparation is not None
    return network


def test_the_smaller_size_stays_the_students_own() -> None:
    source, target, random = network_of(0, 16), network_of(1, 12, 0.5), network_of(2, 12, 0.5)
    images = torch.randn(4, 3, 8, 8)
    kept = cut(source, target, "activation", [Samples({"image": images}, torch.sum)])
    own = target.get_submodule("classifier").weight
    last = next(places for side, places in kept.items() if side == ("classifier", "in"))
    assert torch.equal(own, source.get_submodule("classifier").weight[:, last])
    random.load_state_dict(target.state_dict())
    with evaluating(target), evaluating(random):
        assert torch.equal(target(images), random(images))
    check_cut(network_of(0, 16), network_of(1, 16, 0.5))
