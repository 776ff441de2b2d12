"""Networks of every kind of input and task, with samples for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from kdsearch.data import Scale
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models import Network, build_network
from kdsearch.models.inputs import Input
from kdsearch.problems import Head
from kdsearch.problems.head import outputs_of, side_by_side
from kdsearch.spec.concrete import ModelConfig

CLASSES = Head(name="shape", names=("round", "square", "long"))
TAGS = Head(name="tags", kind="labels", names=("red", "large"))
PRICE = Head(name="price", kind="value", names=("price",), mean=250_000.0, std=80_000.0)

IMAGE = {"image": Input("image", (3, 16, 16))}
NUMBERS = {"numbers": Input("numbers", (4,))}


def sample_network(
    family: str = "convnet",
    inputs: Mapping[str, Input] = IMAGE,
    heads: tuple[Head, ...] = (CLASSES,),
    image_size: int | None = None,
    width: float = 0.25,
    depth: int | None = None,
    seed: int = 0,
) -> SampleNetwork:
    """A network whose batch statistics are those of some noise, in eval mode."""
    heads = side_by_side(heads)
    config = ModelConfig(family=family, width=width, depth=depth)
    torch.manual_seed(seed)
    network = build_network(config, inputs, outputs_of(heads))
    _settle(network)
    return SampleNetwork(network.eval(), heads, network.inputs, scales(inputs), image_size)


def scales(inputs: Mapping[str, Input]) -> dict[str, Scale]:
    """Of images some shares, of numbers some amounts."""
    return {
        name: Scale((0.3, 0.4, 0.5)[: each.shape[0]], (0.2, 0.25, 0.3)[: each.shape[0]])
        if each.kind == "image"
        else Scale(tuple(range(1, each.shape[0] + 1)), (1000.0,) * each.shape[0])
        for name, each in inputs.items()
    }


def samples(inputs: Mapping[str, Input], count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random samples as the data have them."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.integers(0, 256, (count, *each.shape), dtype=np.uint8)
        if each.kind == "image"
        else generator.normal(0, 1000, (count, *each.shape))
        for name, each in inputs.items()
    }


def _settle(network: Network) -> None:
    with torch.no_grad():
        for _ in range(5):
            network(*(torch.randn(16, *each.shape) for each in network.inputs.values()))
