"""What fine-tuning freezes: stages, names and modules, and what cannot be frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.models import Network, Trace, build_network, of_images
from kdsearch.spec.concrete import FineTuning, ModelConfig
from kdsearch.training.fine_tuning import Freezing, check_freezing
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.conftest import STUDENT


def test_nothing_is_computed_backwards_before_the_first_trained_stage(
    digits: Dataset, make_tuned: Callable[..., Task]
) -> None:
    trainer = Trainer(make_tuned({"freeze": 2}), digits)
    needed: dict[str, bool] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            needed[name] = (output[0] if isinstance(output, tuple) else output).requires_grad

        return hook

    for name, part in trainer.distiller.student.named_modules():
        part.register_forward_hook(note(name))
    batch = next(iter(trainer.begin_epoch()))
    trainer.train_step(batch, 0)
    assert [needed[f"stages.{stage}"] for stage in range(3)] == [False, False, True]
    modes = {name: part.training for name, part in trainer.distiller.student.named_modules()}
    assert [modes[f"stages.{stage}"] for stage in range(3)] == [False, False, True]
    assert modes["classifier"]
    assert modes[""]


def names_frozen(network: Network, tuning: FineTuning) -> set[str]:
    return set(Freezing(network, tuning).always)


@pytest.mark.parametrize("view", [{}, {"normalise": {"mean": [0.5], "std": [0.2]}}])
def test_the_classifier_of_a_teacher_is_part_of_the_head(view: dict[str, Any]) -> None:
    """Of a student that adopts one, the backbone's three stages are what is pretrained."""
    config = ModelConfig(**STUDENT, **view, adopts=ModelConfig(family="convnet", depth=3))
    network = build_network(config, of_images((1, 8, 8)), 10)
    backbone = {n for n, _ in network.named_parameters() if n.startswith("backbone.")}
    assert names_frozen(network, FineTuning(freeze="backbone")) == backbone
    assert names_frozen(network, FineTuning(freeze=3)) == backbone
    first = {name for name in backbone if name.startswith("backbone.stages.0.")}
    assert names_frozen(network, FineTuning(freeze=1)) == first
    assert names_frozen(network, FineTuning(freeze=("backbone.stages.0",))) == first


def test_a_network_with_a_view_of_its_own_freezes_as_one_without() -> None:
    own = {"image_size": 64, "normalise": {"mean": [0.5], "std": [0.2]}}
    found = []
    for side, view in ((64, {}), (32, own)):
        config = ModelConfig(family="torchvision/resnet18", **view)
        with torch.device("meta"):
            network = build_network(config, of_images((1, side, side)), 10)
        found.append(names_frozen(network, FineTuning(freeze=2)))
    plain, viewing = found
    first = ("model.conv1.", "model.bn1.", "model.layer1.", "model.layer2.")
    assert viewing == plain
    assert viewing == {n for n in viewing if n.startswith(first)}
    assert len(viewing) == 3 + 12 + 15


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        (FineTuning(freeze=("layer9",)), "it has no module 'layer9' to freeze; did you mean"),
        (FineTuning(freeze=5), r"it has 4 stages to freeze \(layer1, .*, layer4\), not 5"),
        (
            FineTuning(freeze=("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")),
            "freeze leaves nothing to train",
        ),
    ],
)
def test_what_cannot_be_frozen(tuning: FineTuning, told: str) -> None:
    with torch.device("meta"):
        network = build_network(
            ModelConfig(family="torchvision/resnet18"), of_images((3, 64, 64)), 10
        )
    with pytest.raises(ModelError, match=told):
        Freezing(network, tuning)


def test_names_may_have_kdsearchs_prefix() -> None:
    with torch.device("meta"):
        network = build_network(
            ModelConfig(family="torchvision/resnet18"), of_images((3, 64, 64)), 10
        )
    one, other = (
        names_frozen(network, FineTuning(freeze=(name,))) for name in ("layer1", "model.layer1")
    )
    assert one == other
    assert one == {n for n, _ in network.named_parameters() if n.startswith("model.layer1.")}


@pytest.mark.parametrize("tuning", [{"freeze": "backbone"}, {"head_epochs": 1}])
def test_a_loss_that_a_head_does_not_change_is_told(
    digits: Dataset,
    make_tuned: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    tuning: dict[str, Any],
) -> None:
    """Similarities of stage maps are the backbone's, and the labels do not count."""
    task = make_tuned(tuning, "sp", values={"ce_weight": 0.0})
    with pytest.raises(ModelError, match="nothing to train that the loss depends on; freeze less"):
        Trainer(task, digits, make_teacher()).train_epoch()


class Headless(Network):
    """A network whose logits are no linear layer's."""

    def __init__(self) -> None:
        super().__init__(of_images((1, 8, 8)), 10)
        self.layer = nn.Conv2d(1, 10, 3)

    def trace(self, images: Tensor) -> Trace:
        maps = self.layer(images)
        logits = maps.mean(dim=(2, 3))
        return Trace(logits, logits, (maps,))


def test_a_network_without_a_head_has_no_backbone() -> None:
    with pytest.raises(ModelError, match="the head cannot be told from the rest"):
        Freezing(Headless(), FineTuning(freeze="backbone"))
    for tuning in (FineTuning(pretrained_lr=0.1), FineTuning(layer_decay=0.5)):
        with pytest.raises(ModelError, match="leave out pretrained_lr and layer_decay"):
            check_freezing(Headless(), tuning)
    check_freezing(Headless(), FineTuning(batch_norm="frozen"))
