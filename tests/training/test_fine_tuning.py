"""Fine-tuning: rates by their closed form, trainings beside plain PyTorch, and what is frozen."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.models import Network, Trace, build_network, of_images
from kdsearch.models.parts import find_parts
from kdsearch.models.weights import save_weights
from kdsearch.models.weights.sources import with_known_weights
from kdsearch.spec.concrete import FineTuning, ModelConfig
from kdsearch.training.fine_tuning import Freezing, check_freezing, phases
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import assert_same_weights, finish, through_a_file

STUDENT = {"family": "convnet", "width": 0.5, "depth": 3}


@pytest.fixture(scope="module")
def weights(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights, with batch statistics of their own."""
    torch.manual_seed(11)
    network = build_network(ModelConfig(**STUDENT), digits.inputs, 10)
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(32, 1, 8, 8))
    file = tmp_path_factory.mktemp("weights") / "before.safetensors"
    save_weights(network, file)
    return file


@pytest.fixture
def make_tuned(make_task: Callable[..., Task], weights: Path) -> Callable[..., Task]:
    """``make_tuned({"freeze": 1}, label="kd", ema=0.9)``: a task that begins with the file."""

    def make(tuning: dict[str, Any] | None, label: str = "none", **training: Any) -> Task:
        given = {"clip_grad_norm": None, "precision": "float32", "fine_tuning": tuning} | training
        task = make_task(label, model=STUDENT | {"weights": str(weights)}, **given)
        return task.model_copy(update={"model": with_known_weights(task.model)})

    return make


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


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize(
    "tuning", [None, {"head_epochs": 2, "layer_decay": 0.7, "batch_norm": "frozen", "freeze": 1}]
)
def test_a_training_goes_on_as_if_never_cut_off(
    digits: Dataset,
    make_tuned: Callable[..., Task],
    make_teacher: Callable[[], Teacher],
    tuning: dict[str, Any] | None,
    cut: int,
) -> None:
    task = make_tuned(tuning, "kd+fitnet", epochs=4, ema=0.9)
    whole = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    expected = finish(whole)
    begun = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    before = [begun.train_epoch() for _ in range(cut)]
    resumed = Trainer(task, digits, make_teacher(), rungs=(1, 3))
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    reports = [*before, *finish(resumed)]
    assert [(r.loss, r.lr, r.scores, r.averaged) for r in reports] == [
        (r.loss, r.lr, r.scores, r.averaged) for r in expected
    ]
    assert_same_weights(resumed.student, whole.student)
    assert_same_weights(resumed.distiller, whole.distiller)


@pytest.mark.parametrize("teacher", ["born_again", "mutual"])
def test_trainings_among_their_like(
    digits: Dataset, make_tuned: Callable[..., Task], teacher: str
) -> None:
    """Every generation, and both peers, are fine-tuned; a resumed one goes on alike."""
    tuning = {"freeze": 1, "head_epochs": 1}
    task = make_tuned(tuning, "kd", ema=0.8).model_copy(update={"teacher": teacher})
    whole, begun, resumed = (begin_training(task, digits, {}) for _ in range(3))
    first = copy.deepcopy(whole.student.state_dict())
    finish(whole)
    begun.train_epoch()
    resumed.load_state_dict(through_a_file(begun.state_dict()))
    finish(resumed)
    assert_same_weights(whole.student, resumed.student)
    for name, value in whole.student.state_dict().items():
        assert torch.equal(value, first[name]) == name.startswith("stages.0."), name


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
