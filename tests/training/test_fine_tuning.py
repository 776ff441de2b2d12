"""Fine-tuning: rates by their closed form, and trainings beside plain PyTorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.optim import SGD, AdamW

from kdsearch.data import Dataset
from kdsearch.models import Network, build_network, of_images
from kdsearch.models.parts import find_parts
from kdsearch.spec.concrete import FineTuning, ModelConfig
from kdsearch.training.fine_tuning import phases
from kdsearch.training.hardware import Hardware
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish


def rates(trainer: Trainer) -> dict[str, float]:
    """The peak learning rate of each of the student's parameters that the optimiser has."""
    names = {id(p): name for name, p in trainer.distiller.student.named_parameters()}
    return {
        names[id(p)]: group["initial_lr"]
        for group in trainer._optimizer.param_groups
        for p in group["params"]
        if id(p) in names
    }


def test_rates_fall_by_the_published_rule(digits: Dataset, make_tuned: Callable[..., Task]) -> None:
    """Of three stages the last has one factor, the first three; the head has none."""
    task = make_tuned({"layer_decay": 0.5, "pretrained_lr": 0.1}, lr=0.08)
    found = rates(Trainer(task, digits))
    expected = [0.001, 0.002, 0.004, 0.08]
    assert len(found) == 3 * 3 + 2
    for name, rate in found.items():
        assert rate == pytest.approx(expected[of_stage(name)])


def test_a_helper_of_the_method_has_the_full_rate(
    digits: Dataset, make_tuned: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    trainer = Trainer(make_tuned({"pretrained_lr": 0.1}, "fitnet", lr=0.1), digits, make_teacher())
    helpers = {id(p) for p in trainer.distiller.objective.parameters()}
    assert helpers
    for group in trainer._optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in helpers:
                assert group["initial_lr"] == 0.1


@pytest.mark.parametrize(
    ("family", "side", "expected"),
    [
        ("torchvision/resnet18", 64, {"conv1": 4, "layer1": 4, "layer3": 2, "layer4": 1, "fc": 0}),
        (
            "torchvision/vit_b_16",
            32,
            {
                "class_token": 13,
                "conv_proj": 13,
                "encoder.pos_embedding": 13,
                "encoder.layers.encoder_layer_0": 12,
                "encoder.layers.encoder_layer_11.mlp": 1,
                "encoder.ln": 1,
                "heads.head": 0,
            },
        ),
        (
            "torchvision/mobilenet_v2",
            64,
            {"features.0": 4, "features.3": 4, "features.4": 3, "features.18": 1, "classifier": 0},
        ),
    ],
)
def test_networks_of_others_are_ordered_as_they_are_called(
    family: str, side: int, expected: dict[str, int]
) -> None:
    """By how many factors the rate falls: that of BEiT, Bao et al. 2022, for a ViT's blocks."""
    with torch.device("meta"):
        network = build_network(ModelConfig(family=family), of_images((3, side, side)), 10)
    parts = find_parts(network)
    for name, _ in network.named_parameters():
        for start, factors in expected.items():
            if name.removeprefix("model.").startswith(f"{start}.") or name == f"model.{start}":
                assert parts.head - parts.of(name) == factors, name


def plain_training(
    task: Task,
    digits: Dataset,
    rate: Callable[[str], float],
    frozen: Callable[[str, int], bool] = lambda name, epoch: False,
    decay: Callable[[str], float] = lambda name: 5e-4,
) -> Network:
    """The same steps in plain PyTorch: an optimiser for each parameter, the schedule by hand.

    Only the batches are the trainer's.
    """
    feed = Trainer(task, digits)
    network = copy.deepcopy(feed.distiller.student).requires_grad_(True)
    training = task.training
    optimizers = {}
    for name, parameter in network.named_parameters():
        settings = {"lr": rate(name), "weight_decay": decay(name), "fused": True}
        if training.optimizer == "adamw":
            optimizers[name] = AdamW([parameter], **settings)
        else:
            optimizers[name] = SGD([parameter], momentum=0.9, nesterov=True, **settings)
    done, total = 0, training.epochs * feed.steps_per_epoch
    for epoch in range(training.epochs):
        network.train()
        for name, module in network.named_modules():
            if frozen(name, epoch) and not list(module.children()):
                module.eval()
        feed.epoch = epoch
        for batch in feed.begin_epoch():
            (targets,) = batch.targets.values()
            loss = F.cross_entropy(network(batch.inputs["image"]), targets.labels)
            network.zero_grad()
            loss.backward()
            factor = 0.5 * (1 + math.cos(math.pi * done / total))
            for name, optimizer in optimizers.items():
                if frozen(name.rpartition(".")[0], epoch):
                    continue
                optimizer.param_groups[0]["lr"] = rate(name) * factor
                optimizer.step()
            done += 1
    return network


def of_stage(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("stages.") else 3


RECIPES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "rates": (
        {"layer_decay": 0.5, "pretrained_lr": 0.1},
        lambda name: 0.05 * (1.0 if of_stage(name) == 3 else 0.1 * 0.5 ** (3 - of_stage(name))),
        lambda name, epoch: False,
    ),
    "backbone": (
        {"freeze": "backbone"},
        lambda name: 0.05,
        lambda name, epoch: name != "classifier",
    ),
    "first stages": (
        {"freeze": 2, "pretrained_lr": 0.5},
        lambda name: 0.05 if name.startswith("classifier") else 0.025,
        lambda name, epoch: name.startswith(("stages.0.", "stages.1.")),
    ),
    "names": (
        {"freeze": ["stages.1"]},
        lambda name: 0.05,
        lambda name, epoch: name.startswith("stages.1."),
    ),
    "batch norm": (
        {"batch_norm": "frozen"},
        lambda name: 0.05,
        lambda name, epoch: name.endswith(".1") and name.startswith("stages."),
    ),
    "head first": (
        {"head_epochs": 1, "layer_decay": 0.8},
        lambda name: 0.05 * 0.8 ** (3 - of_stage(name)),
        lambda name, epoch: epoch == 0 and name != "classifier",
    ),
    "head first, some never": (
        {"head_epochs": 1, "freeze": 1},
        lambda name: 0.05,
        lambda name, epoch: name.startswith("stages.0.") or (epoch == 0 and name != "classifier"),
    ),
}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_it_is_the_same_training_in_plain_pytorch(
    digits: Dataset, make_tuned: Callable[..., Task], recipe: str, optimizer: str
) -> None:
    tuning, rate, frozen = RECIPES[recipe]
    task = make_tuned(tuning, optimizer=optimizer)
    trainer = Trainer(task, digits)
    before = copy.deepcopy(trainer.student)
    finish(trainer)
    expected = plain_training(task, digits, rate, frozen)
    assert_same_weights(trainer.student, expected)
    moved = [
        name
        for name, value in trainer.student.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    ]
    always = [
        name
        for name in trainer.student.state_dict()
        if all(frozen(name.rpartition(".")[0], epoch) for epoch in range(2))
    ]
    assert moved
    assert not set(moved) & set(always)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_norms_and_biases_need_not_decay(
    digits: Dataset, make_tuned: Callable[..., Task], optimizer: str
) -> None:
    task = make_tuned(None, optimizer=optimizer, decay_norms=False, weight_decay=0.3, lr=0.01)
    trainer = Trainer(task, digits)
    finish(trainer)

    def decay(name: str) -> float:
        return 0.3 if name.endswith((".0.weight", "classifier.weight")) else 0.0

    expected = plain_training(task, digits, lambda name: 0.01, decay=decay)
    assert_same_weights(trainer.student, expected)


def test_random_weights_are_trained_as_a_whole(
    digits: Dataset, make_task: Callable[..., Task]
) -> None:
    plain, tuned = (
        Trainer(make_task(fine_tuning=tuning), digits) for tuning in (None, {"freeze": "backbone"})
    )
    finish(plain)
    finish(tuned)
    assert_same_weights(plain.student, tuned.student)


def test_the_phases_of_a_training(make_tuned: Callable[..., Task]) -> None:
    training = make_tuned({"head_epochs": 2, "freeze": 1, "layer_decay": 0.9}, epochs=5).training
    (first, head), (second, rest) = phases(training)
    assert (first, second) == (2, 3)
    assert head.fine_tuning == FineTuning(freeze="backbone")
    assert rest.fine_tuning == FineTuning(freeze=1, layer_decay=0.9)
    assert [epochs for epochs, _ in phases(make_tuned(None, epochs=5).training)] == [5]


@pytest.mark.slow
def test_a_compiled_training_freezes_alike(
    digits: Dataset, make_tuned: Callable[..., Task], make_teacher: Callable[[], Teacher]
) -> None:
    """The first epoch trains the head alone, the second all but one stage."""
    task = make_tuned({"head_epochs": 1, "freeze": 1}, "kd+fitnet")
    compiled, plain = (
        Trainer(task, digits, make_teacher(), Hardware(torch.device("cpu"), compiled=each))
        for each in (True, False)
    )
    for one, other in zip(finish(compiled), finish(plain), strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
    assert_same_weights(compiled.student, plain.student, 1e-3)
