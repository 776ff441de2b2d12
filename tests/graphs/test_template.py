"""One graph for the trainings of an architecture: only the weights differ."""

from __future__ import annotations

import time

import onnx
import pytest
import torch
from torch import Tensor, nn

from kdsearch.data import Scale
from kdsearch.errors import ModelError
from kdsearch.graphs.metadata import metadata_of
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.graphs.template import Template
from kdsearch.models.inputs import of_images
from kdsearch.models.taps.tapped import TappedNetwork
from tests.graphs.networks import CLASSES, IMAGE, NUMBERS, PRICE, sample_network, samples
from tests.graphs.test_families import SMALL


@pytest.mark.parametrize(("family", "depth"), SMALL)
def test_other_weights_of_every_family(family: str, depth: int | None) -> None:
    first, other = (sample_network(family, depth=depth, seed=seed) for seed in (1, 2))
    whole = Template(first, metadata_of(first))
    start = time.process_time()
    content = whole.with_weights(other)
    assert time.process_time() - start < 0.5
    given = samples(IMAGE, 7)
    assert check_onnx(content, other, given) <= 1e-5
    assert check_onnx(content, first, given, tolerance=float("inf")) > 1e-3
    assert check_onnx(whole.with_weights(first), first, given) <= 1e-5


def test_files_are_those_of_a_whole_export() -> None:
    inputs = IMAGE | NUMBERS
    first, other = (sample_network("mlp", inputs, (CLASSES, PRICE), seed=seed) for seed in (1, 2))
    with torch.no_grad():
        for each in other.parameters():  # among them biases of zero, which are left out otherwise
            each.add_(0.1 * torch.rand_like(each))
    filled = onnx.load_from_string(Template(first, metadata_of(first)).with_weights(other))
    whole = onnx.load_from_string(to_onnx(other, metadata_of(other)))
    assert filled == whole


def test_convolutions_with_biases_and_norms_that_stay() -> None:
    def build() -> SampleNetwork:
        layers = (
            *(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()),
            *(nn.Conv2d(6, 6, 3, groups=2), nn.BatchNorm2d(6, eps=0.1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)),
        )
        model = nn.Sequential(*layers)
        for _ in range(5):
            model(3 * torch.randn(16, 3, 8, 8) + 1)
        return own(model)

    torch.manual_seed(0)
    first, other = build(), build()
    content = Template(first, {}).with_weights(other)
    assert check_onnx(content, other, samples(of_images((3, 8, 8)), 5)) <= 1e-5


def own(model: nn.Module) -> SampleNetwork:
    inputs = of_images((3, 8, 8))
    network = TappedNetwork(model, "mine", inputs, 3).eval()
    return SampleNetwork(network, (CLASSES,), inputs, {"image": Scale((0.5,) * 3, (0.5,) * 3)})


class Doubled(nn.Module):
    """Computes with a weight alone, which the exporter may do in advance."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(192, 8), nn.Linear(8, 3)
        self.gate = nn.Parameter(torch.ones(8))

    def forward(self, images: Tensor) -> Tensor:
        return self.outer(self.inner(images.flatten(1)).relu() * torch.exp(self.gate * 2))


def test_a_weight_that_the_exporter_has_computed_with_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gate as it is; write the files .* one by one"):
        Template(own(Doubled()), {})


def test_another_architecture_is_refused() -> None:
    small = Template(sample_network("mlp", width=0.5), {})
    with pytest.raises(ValueError, match="differ in their weights alone"):
        small.with_weights(sample_network("mlp", width=0.25))
