"""Signals read of arbitrary modules."""

from __future__ import annotations

import copy
import gc
import io
import threading
import weakref
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from kdsearch.errors import ModelError
from kdsearch.models import Signal, of_images
from kdsearch.models.taps.tapped import TappedNetwork

SHAPE = (3, 16, 16)


class Reference(nn.Module):
    """A small network that keeps its own inner answers, for comparison."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv4 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout2d(0.5)
        self.fc = nn.Linear(16, classes)
        self.seen: dict[str, Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        first = self.relu(self.conv1(images))
        second = self.relu(self.conv3(self.relu(self.conv2(first))))
        third = self.relu(self.conv4(second))
        pooled = self.dropout(third).mean(dim=(2, 3))
        logits = self.fc(pooled)
        if not torch.is_grad_enabled():
            self.seen = {"1": first, "2": second, "3": third, "e": pooled, "l": logits}
        return logits


def hooks_of(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def test_signals_are_the_inner_answers_though_one_relu_serves_all() -> None:
    model = Reference()
    network = TappedNetwork(model, "test", of_images(SHAPE), 5).eval()
    with torch.no_grad():
        logits, embedding, features, *_ = network.trace(torch.randn(3, *SHAPE))
    assert torch.equal(logits, model.seen["l"])
    assert torch.equal(embedding, model.seen["e"])
    assert len(features) == 3
    for stage, name in zip(features, "123", strict=True):
        assert torch.equal(stage, model.seen[name])


def test_forward_and_trace_agree_and_shapes_are_declared() -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5).eval()
    images = torch.randn(2, *SHAPE)
    assert torch.equal(network(images), network.trace(images)[0])
    shapes = network.signal_shapes()
    assert (shapes.classes, shapes.embedding) == (5, 16)
    assert shapes.maps == ((4, 16, 16), (8, 8, 8), (16, 4, 4))


def test_gradient_of_the_signals_reaches_the_model() -> None:
    model = Reference()
    network = TappedNetwork(model, "test", of_images(SHAPE), 5)
    signals = network.observe({"image": torch.randn(2, *SHAPE)}, {Signal.FEATURES})
    signals.features[1].square().sum().backward()
    assert model.conv3.weight.grad is not None
    assert model.conv4.weight.grad is None


def test_nothing_is_left_behind_by_a_trace() -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5)
    images = torch.randn(2, *SHAPE)
    signals = network.observe({"image": images}, set(Signal))
    assert hooks_of(network) == 0
    kept = weakref.ref(signals.features[0])
    del signals
    gc.collect()
    assert kept() is None


def test_hooks_go_when_the_forward_pass_fails() -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5)
    with pytest.raises(RuntimeError):
        network.trace(torch.randn(2, 1, 16, 16))
    assert hooks_of(network) == 0


def test_copies_pickles_and_weights_go_round() -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5).eval()
    images = torch.randn(2, *SHAPE)
    expected = network.trace(images)
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    other = TappedNetwork(Reference(), "test", of_images(SHAPE), 5).eval()
    other.load_state_dict(network.state_dict())
    loaded = torch.load(buffer, weights_only=False)
    for twin in (copy.deepcopy(network), loaded, other):
        logits, embedding, features, *_ = twin.trace(images)
        assert torch.equal(logits, expected[0])
        assert torch.equal(embedding, expected[1])
        assert all(torch.equal(a, b) for a, b in zip(features, expected[2], strict=True))


def test_threads_do_not_read_each_other() -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5).eval()
    batches = [torch.randn(2, *SHAPE) for _ in range(4)]
    with torch.no_grad():
        expected = [network.trace(batch)[2][-1] for batch in batches]
    wrong: list[int] = []

    def work(index: int) -> None:
        with torch.no_grad():
            for _ in range(20):
                if not torch.equal(network.trace(batches[index])[2][-1], expected[index]):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class Observer(nn.Module):
    """What a training step puts under data parallelism: a forward that reads signals."""

    def __init__(self, network: TappedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        signals = self.network.observe({"image": images}, {Signal.FEATURES})
        return signals.logits, signals.features[0]


def test_signals_can_be_read_under_distributed_data_parallelism(tmp_path: Path) -> None:
    network = TappedNetwork(Reference(), "test", of_images(SHAPE), 5).eval()
    images = torch.randn(2, *SHAPE)
    logits, features = Observer(network)(images)
    (logits.sum() + features.sum()).backward()
    alone = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(Observer(network))
        logits, features = parallel(images)
        (logits.sum() + features.sum()).backward()
    finally:
        torch.distributed.destroy_process_group()
    for parameter, expected in zip(network.parameters(), alone, strict=True):
        assert torch.allclose(parameter.grad, expected)


def test_finding_the_taps_leaves_modes_and_statistics_alone() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    model.train()
    model[1].eval()
    TappedNetwork(model, "test", of_images(SHAPE), 5)
    assert [part.training for part in model] == [True, False, True, True, True]
    assert model[1].num_batches_tracked == 0


def test_at_most_the_four_deepest_maps() -> None:
    layers: list[nn.Module] = [nn.Conv2d(3, 6, 3, padding=1)]
    for _ in range(5):
        layers.append(nn.Conv2d(6, 6, 3, stride=2, padding=1))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 5))
    shapes = TappedNetwork(model, "test", of_images((3, 64, 64)), 5).signal_shapes()
    assert shapes.maps == ((6, 16, 16), (6, 8, 8), (6, 4, 4), (6, 2, 2))


def test_pooling_to_a_fixed_size_is_no_stage() -> None:
    """4×4 maps blown up to 6×6 for the classifier, as VGG does on small images."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(144, 5)
    )
    assert TappedNetwork(model, "test", of_images(SHAPE), 5).signal_shapes().maps == ((4, 4, 4),)


def test_normalised_images_are_no_stage() -> None:
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(), nn.Linear(64, 5)
    )
    assert TappedNetwork(model, "test", of_images(SHAPE), 5).signal_shapes().maps == ((4, 4, 4),)


def test_channels_last_maps_are_turned() -> None:
    class ChannelsLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 6, 4, stride=4)
            self.mix = nn.Linear(6, 6)
            self.head = nn.Linear(6, 5)

        def forward(self, images: Tensor) -> Tensor:
            maps = self.mix(self.embed(images).permute(0, 2, 3, 1))
            return self.head(maps.mean(dim=(1, 2)))

    model = ChannelsLast()
    images = torch.randn(2, *SHAPE)
    _, _, features, *_ = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images)
    assert len(features) == 1
    expected = model.mix(model.embed(images).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.equal(features[0], expected)


def test_oblong_images_have_oblong_maps() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    shapes = TappedNetwork(model, "test", of_images((1, 9, 30)), 5).signal_shapes()
    assert shapes.maps == ((4, 5, 15),)


class Tokens(nn.Module):
    """A transformer's skeleton: patches, tokens, the mean of them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.mix(self.patches(images).flatten(2).transpose(1, 2))
        return self.head(tokens).mean(dim=1)


def test_a_transformer_has_an_embedding_but_no_stages() -> None:
    model = Tokens()
    images = torch.randn(2, *SHAPE)
    _, embedding, features, *_ = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images)
    assert features == ()
    tokens = model.mix(model.patches(images).flatten(2).transpose(1, 2))
    assert torch.allclose(embedding, tokens.mean(dim=1), atol=1e-6)


def test_a_convolution_may_classify() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Dropout(0.5),
        nn.Conv2d(8, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()
    images = torch.randn(2, *SHAPE)
    _, embedding, features, *_ = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images)
    assert [tuple(stage.shape) for stage in features] == [(2, 8, 8, 8)]
    assert torch.allclose(embedding, model[0](images).mean(dim=(2, 3)))


class Cosine(nn.Module):
    """A classifier that is no nn.Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4))

    def forward(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding) @ F.normalize(self.weight).T


def test_a_classifier_of_the_users_own_is_found_by_its_output() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 16), nn.Flatten(), Cosine())
    images = torch.randn(2, *SHAPE)
    _, embedding, *_ = TappedNetwork(model, "test", of_images(SHAPE), 5).trace(images)
    assert torch.allclose(embedding, model[0](images).flatten(1))


class Auxiliary(nn.Module):
    """Gives auxiliary logits beside the main ones, in one of two customary ways."""

    def __init__(self, named: bool) -> None:
        super().__init__()
        self.aux = nn.Linear(768, 5)
        self.fc = nn.Linear(768, 5)
        self.named = named

    def forward(self, images: Tensor) -> object:
        main, aux = self.fc(images.flatten(1)), self.aux(images.flatten(1))
        return Answer(main, aux) if self.named else (main, aux)


class Answer:
    def __init__(self, logits: Tensor, aux_logits: Tensor) -> None:
        self.logits, self.aux_logits = logits, aux_logits


@pytest.mark.parametrize("named", [True, False])
def test_auxiliary_outputs_are_set_aside(named: bool) -> None:
    model = Auxiliary(named)
    network = TappedNetwork(model, "test", of_images(SHAPE), 5)
    images = torch.randn(2, *SHAPE)
    assert torch.equal(network(images), model.fc(images.flatten(1)))
    assert torch.equal(network.trace(images)[0], network(images))


class Functional(nn.Module):
    """Has no classifier module at all."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 768))

    def forward(self, images: Tensor) -> Tensor:
        return F.linear(images.flatten(1), self.weight)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Functional(), "mine has no layer that can be told .* nn.Linear of 5 outputs"),
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), r"\[2, 4\]; it must give .*\[2, 5\]"),
        (nn.Sequential(nn.Flatten(), nn.Linear(10, 5)), "cannot take images of 16×16 pixels"),
        (nn.Conv2d(3, 5, 1), r"\[2, 5, 16, 16\]; it must give"),
    ],
)
def test_modules_that_cannot_be_tapped_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        TappedNetwork(model, "mine", of_images(SHAPE), 5)


class Fickle(nn.Module):
    """Skips a layer in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 2, stride=2)
        self.fc = nn.Linear(192, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.avg_pool2d(images, 2) if self.training else self.conv(images)
        return self.fc(maps.flatten(1))


def test_layers_that_are_not_always_called_are_an_error_not_a_gap() -> None:
    network = TappedNetwork(Fickle(), "test", of_images(SHAPE), 5)
    images = torch.randn(2, *SHAPE)
    assert len(network.eval().trace(images)[2]) == 1
    with pytest.raises(ModelError, match="Fickle does not call the same layers"):
        network.train().trace(images)
