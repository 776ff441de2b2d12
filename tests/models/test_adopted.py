"""Students that take over their teacher's classifier behind a projector."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import CheckpointError, ModelError
from kdsearch.models import (
    Network,
    Signal,
    Trace,
    blueprint,
    build_network,
    measure,
    measure_config,
    of_images,
)
from kdsearch.models.adopted import AdoptedClassifier
from kdsearch.models.taps.tapped import TappedNetwork
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.spec.concrete import ModelConfig

SHAPE = (1, 8, 8)
TEACHER = ModelConfig(family="convnet", width=1, depth=2)
"""16 channels at 8×8, then 32 at 4×4."""


def adopting(family: str, teacher: ModelConfig = TEACHER, **values: float) -> ModelConfig:
    return ModelConfig(family=family, adopts=teacher, **values)


def adopted(config: ModelConfig, shape: tuple[int, int, int] = SHAPE) -> AdoptedClassifier:
    network = build_network(config, of_images(shape), 10)
    assert isinstance(network, AdoptedClassifier)
    return network


def is_last_map_pooled(student: str, teacher: str) -> bool:
    """A student's head behind its last stage is taken out, a teacher's makes its embedding."""
    of_torchvision = any(name.startswith("torchvision/") for name in (student, teacher))
    return not of_torchvision and teacher not in ("mobilenet_v2", "shufflenet_v2")


def test_size_counts_projector_and_classifier_by_hand() -> None:
    """Student of 8 and 16 channels; projector 16→16→16→32 on 4×4 maps; classifier 32→10."""
    size = measure_config(adopting("convnet", width=0.5, depth=2), of_images(SHAPE), 10)
    backbone = (1 * 8 * 9, 8 * 16 * 9)
    projector = (16 * 16, 16 * 16 * 9, 16 * 32)
    normalised = 8 + 16 + 16 + 16 + 32
    assert size.parameters == sum(backbone) + sum(projector) + 2 * normalised + 32 * 10 + 10
    assert size.macs == 64 * backbone[0] + 16 * backbone[1] + 16 * sum(projector) + 32 * 10
    assert size.bytes == 4 * (size.parameters + 2 * normalised) + 5 * 8


def test_maps_of_one_pixel_have_no_three_by_three_convolution() -> None:
    size = measure_config(adopting("mlp", width=0.25, depth=1), of_images(SHAPE), 10)
    weights = 64 * 32 + 32 * 16 + 16 * 16 + 16 * 32 + 32 * 10
    assert size.parameters == weights + 32 + 2 * (16 + 16 + 32) + 10
    assert size.macs == weights


def test_a_teacher_of_one_channel_leaves_one_inner_channel() -> None:
    teacher = ModelConfig(family="mlp", width=1 / 128, depth=1)
    network = adopted(adopting("mlp", teacher, width=0.25, depth=1))
    assert [tuple(p.shape) for p in network.projector.parameters() if p.ndim == 4] == [
        (1, 32, 1, 1),
        (1, 1, 1, 1),
        (1, 1, 1, 1),
    ]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("student", ["resnet", "mlp", "torchvision/mobilenet_v2"])
def test_a_blueprint_measures_as_the_network(student: str, device: str) -> None:
    config = adopting(student, width=0.25)
    state = torch.random.get_rng_state()
    made = blueprint(config, of_images((3, 32, 32)), 10)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.device(device):
        network = build_network(config, of_images((3, 32, 32)), 10)
    assert {tensor.device.type for tensor in network.state_dict().values()} == {device}
    assert measure(network) == measure(made) == measure_config(config, of_images((3, 32, 32)), 10)
    assert network.signal_shapes() == made.signal_shapes()


def test_the_backbone_starts_as_the_student_would_alone() -> None:
    config = adopting("resnet", width=0.5, depth=8)
    torch.manual_seed(3)
    backbone = adopted(config).backbone.state_dict()
    torch.manual_seed(3)
    alone = build_network(
        config.model_copy(update={"adopts": None}), of_images(SHAPE), 10
    ).state_dict()
    assert alone.keys() - backbone.keys() == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(alone[name], values) for name, values in backbone.items())


PAIRS = [
    ("convnet", "resnet"),
    ("resnet", "convnet"),
    ("mlp", "convnet"),
    ("vgg", "mlp"),
    ("wide_resnet", "shufflenet_v2"),
    ("mobilenet_v2", "shufflenet_v1"),
    ("shufflenet_v2", "mobilenet_v2"),
    ("mobilenet_v2", "torchvision/resnet18"),
    ("torchvision/resnet18", "convnet"),
    ("torchvision/squeezenet1_1", "torchvision/resnet18"),
]


@pytest.fixture(params=PAIRS, ids=" of ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


class TestEveryPair:
    """Pooled maps where both networks pool them, else the embedding as a map of one pixel."""

    shape = (3, 32, 32)

    def network(self, pair: tuple[str, str]) -> tuple[AdoptedClassifier, Network]:
        teacher = ModelConfig(family=pair[1], width=0.5)
        config = adopting(
            pair[0], teacher, width=0.25 if pair[0] != "torchvision/squeezenet1_1" else 1
        )
        return adopted(config, self.shape), build_network(teacher, of_images(self.shape), 10)

    def test_shapes_are_the_teachers(self, pair: tuple[str, str]) -> None:
        network, teacher = self.network(pair)
        shapes, theirs = network.signal_shapes(), teacher.signal_shapes()
        assert (shapes.classes, shapes.embedding) == (10, theirs.embedding)
        assert shapes.linear_head
        assert shapes.family == network.family == network.backbone.family == pair[0]
        assert shapes.pooled == is_last_map_pooled(*pair)
        if shapes.pooled:
            channels, *sides = shapes.maps[-1]
            assert channels == theirs.maps[-1][0]
            assert all(s <= t for s, t in zip(sides, theirs.maps[-1][1:], strict=True))
        head = teacher.head
        assert head is not None
        assert network.head is network.classifier
        assert network.classifier.weight.shape == head.weight.shape

    def test_trace_is_consistent(self, pair: tuple[str, str]) -> None:
        network, _ = self.network(pair)
        network.eval()
        images = torch.randn(3, *self.shape)
        inner = network.backbone.trace(images)
        logits, embedding, features, preactivation, *_ = network.trace(images)
        assert torch.equal(logits, network(images))
        assert torch.allclose(logits, F.linear(embedding, *network.classifier.parameters()))
        kept = len(features) - is_last_map_pooled(*pair)
        assert len(features) == len(preactivation) == len(inner.features)
        assert all(torch.equal(a, b) for a, b in zip(features[:kept], inner.features, strict=False))
        for mine, theirs in zip(preactivation[:kept], inner.preactivation, strict=False):
            assert torch.equal(mine, theirs)
        if network.pools_last_map:
            assert torch.equal(features[-1], preactivation[-1].relu())
            assert torch.allclose(embedding, features[-1].mean(dim=(2, 3)))

    def test_gradient_reaches_every_weight(self, pair: tuple[str, str]) -> None:
        """None of the student's own classifier is left over."""
        network, _ = self.network(pair)
        network(torch.randn(8, *self.shape)).square().sum().backward()
        idle = [name for name, weight in network.named_parameters() if weight.grad is None]
        assert idle == []

    def test_weights_go_round_through_a_file(self, pair: tuple[str, str], tmp_path: Path) -> None:
        network, _ = self.network(pair)
        other, _ = self.network(pair)
        save_weights(network, tmp_path / "student.safetensors")
        load_weights(other, tmp_path / "student.safetensors", "the student")
        images = torch.randn(2, *self.shape)
        assert torch.equal(other.eval()(images), network.eval()(images))

    def test_copies_and_pickles(self, pair: tuple[str, str]) -> None:
        network, _ = self.network(pair)
        network.eval()
        images = torch.randn(2, *self.shape)
        for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert torch.equal(twin(images), network(images))


def test_projector_is_the_papers() -> None:
    """1×1, plain 3×3 and 1×1 convolution, each normalised and rectified, halved in between."""
    network = adopted(adopting("convnet", width=0.5, depth=2)).eval()
    images = torch.randn(2, *SHAPE)
    maps = network.backbone.trace(images).features[-1]
    state = network.projector.state_dict()
    for place, padding in ((0, 0), (3, 1), (6, 0)):
        maps = F.conv2d(maps, state[f"{place}.weight"], padding=padding)
        norm = [state[f"{place + 1}.{part}"] for part in ("running_mean", "running_var")]
        scale = [state[f"{place + 1}.{part}"] for part in ("weight", "bias")]
        maps = F.batch_norm(maps, *norm, *scale).relu()
    shapes = [tuple(w.shape) for name, w in state.items() if w.ndim == 4]
    assert shapes == [(16, 16, 1, 1), (16, 16, 3, 3), (32, 16, 1, 1)]
    assert torch.allclose(network.trace(images).features[-1], maps, atol=1e-6)


@pytest.mark.parametrize(("student", "teacher", "side"), [(3, 4, 4), (4, 3, 4), (2, 4, 4)])
def test_a_larger_map_is_averaged_to_the_teachers(student: int, teacher: int, side: int) -> None:
    """On 28×28 images the stages of a convnet have sides of 28, 14, 7 and 4."""
    config = adopting("convnet", ModelConfig(family="convnet", depth=teacher), depth=student)
    network = adopted(config, (1, 28, 28)).double().eval()
    images = torch.randn(2, 1, 28, 28, dtype=torch.float64)
    maps = network.backbone.trace(images).features[-1]
    projected, _ = network.projector(F.adaptive_avg_pool2d(maps, side))
    assert projected.shape[2:] == (side, side)
    assert torch.allclose(network.trace(images).features[-1], projected, atol=1e-9)


def test_sides_are_averaged_each_for_itself() -> None:
    """The student's last map of 3×15 becomes the teacher's 2×8."""
    config = adopting("convnet", ModelConfig(family="convnet", depth=4), depth=2)
    network = adopted(config, (1, 6, 30)).eval()
    maps = network.backbone.trace(images := torch.randn(2, 1, 6, 30)).features[-1]
    projected, _ = network.projector(F.adaptive_avg_pool2d(maps, (2, 8)))
    assert torch.allclose(network.trace(images).features[-1], projected, atol=1e-5)
    assert network.signal_shapes().maps == ((16, 6, 30), (128, 2, 8))


def test_one_sample_of_one_pixel_cannot_be_normalised() -> None:
    network = adopted(adopting("mlp", width=0.25)).train()
    with pytest.raises(ModelError, match=r"one sample .* raise training\.batch_size"):
        network(torch.randn(1, *SHAPE))
    assert network.eval()(torch.randn(1, *SHAPE)).shape == (1, 10)
    assert adopted(adopting("convnet")).train()(torch.randn(1, *SHAPE)).shape == (1, 10)


def test_weights_of_the_plain_student_are_another_architecture(tmp_path: Path) -> None:
    plain = build_network(ModelConfig(family="convnet"), of_images(SHAPE), 10)
    save_weights(plain, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="another architecture"):
        load_weights(adopted(adopting("convnet")), tmp_path / "plain.safetensors", "the student")


def test_a_teachers_head_without_bias_gives_one_without() -> None:
    teacher = build_network(TEACHER, of_images(SHAPE), 10)
    teacher.classifier = nn.Linear(32, 10, bias=False)
    network = AdoptedClassifier(build_network(TEACHER, of_images(SHAPE), 10), teacher)
    assert [name for name in network.state_dict() if name.startswith("classifier")] == [
        "classifier.weight"
    ]


def test_nested_adoption_is_refused() -> None:
    inner = ModelConfig(family="convnet", adopts=TEACHER)
    for make in (build_network, blueprint):
        with pytest.raises(ModelError, match=r"mlp cannot adopt .* remove the inner adopts"):
            make(ModelConfig(family="mlp", adopts=inner), SHAPE, 10)


def test_a_teacher_without_a_linear_head_is_refused() -> None:
    teacher = ModelConfig(family="torchvision/squeezenet1_1")
    with pytest.raises(ModelError, match=r"torchvision/squeezenet1_1 has no linear layer"):
        build_network(adopting("convnet", teacher), of_images((3, 32, 32)), 10)


class Cosine(Network):
    """A classifier by angles: nothing that a linear layer could replace."""

    def __init__(self) -> None:
        super().__init__(of_images(SHAPE), 10)
        self.body = nn.Linear(64, 4)
        self.directions = nn.Parameter(torch.randn(10, 4))

    def trace(self, images: Tensor) -> Trace:
        embedding = self.body(images.flatten(1))
        return Trace(F.normalize(embedding) @ F.normalize(self.directions).T, embedding, ())


class Detour(Cosine):
    """Its linear layer does not take the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(64, 10)


def test_heads_that_are_not_from_embedding_to_logits_are_refused() -> None:
    plain = build_network(TEACHER, of_images(SHAPE), 10)
    for teacher in (Cosine(), Detour()):
        with pytest.raises(ModelError, match="the teacher has no linear layer from its embedding"):
            AdoptedClassifier(build_network(TEACHER, of_images(SHAPE), 10), teacher)
    with pytest.raises(ModelError, match="Cosine has no linear classifier that a teacher's"):
        AdoptedClassifier(Cosine(), plain)


class Borrowing(nn.Module):
    """Uses the weights of its classifier without calling it, beside calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        return self.fc(pixels) + F.linear(pixels, self.fc.weight)


def test_a_student_that_needs_its_classifier_is_refused() -> None:
    student = TappedNetwork(Borrowing(), "mine", of_images(SHAPE), 10)
    with pytest.raises(ModelError, match=r"does not work without its classifier model\.fc"):
        AdoptedClassifier(student, build_network(TEACHER, of_images(SHAPE), 10))


class ChannelsLast(nn.Module):
    """A linear classifier of every pixel [B, H, W, C], averaged afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 6, 2, stride=2)
        self.head = nn.Linear(6, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.embed(images).permute(0, 2, 3, 1)).mean(dim=(1, 2))


def test_the_embedding_is_read_the_same_without_the_classifier() -> None:
    student = TappedNetwork(ChannelsLast(), "mine", of_images(SHAPE), 10)
    images = torch.randn(4, *SHAPE)
    before = student.trace(images).embedding
    network = AdoptedClassifier(student, build_network(TEACHER, of_images(SHAPE), 10)).eval()
    assert torch.equal(network.backbone.trace(images).embedding, before)
    assert torch.allclose(before, student.model.embed(images).mean(dim=(2, 3)), atol=1e-6)


def test_observed_signals_are_those_wanted() -> None:
    network = adopted(adopting("convnet", width=0.5)).eval()
    signals = network.observe(
        {"image": torch.randn(2, *SHAPE)}, {Signal.FEATURES, Signal.PREACTIVATION}
    )
    assert signals.embedding is None
    assert torch.equal(signals.features[-1], signals.preactivation[-1].relu())
    assert (signals.preactivation[-1] < 0).any()
