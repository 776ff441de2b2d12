"""Students cut from the weights of a file, or from their trained teacher."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.compression import Samples, cut
from kdsearch.data import Dataset, Views
from kdsearch.data.batch import Batch
from kdsearch.errors import CheckpointError, ModelError
from kdsearch.models import Network, build_network
from kdsearch.models.weights import save_weights
from kdsearch.models.weights.sources import known_weights
from kdsearch.problems.head import UNNAMED
from kdsearch.spec import ModelConfig
from kdsearch.spec.concrete import InitialWeights
from kdsearch.training.initial import initial_student, origin_of
from kdsearch.training.programs import begin_training
from kdsearch.training.recipe import Recipe
from kdsearch.training.starts import check_start
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import finish

MakeTask = Callable[..., Task]
WHOLE = {"family": "convnet", "depth": 2}


def network_of(data: Dataset, seed: int = 99, **values: object) -> Network:
    torch.manual_seed(seed)
    return build_network(ModelConfig.model_validate(values), data.inputs, 10)


@pytest.fixture
def file(digits: Dataset, tmp_path: Path) -> Path:
    save_weights(network_of(digits, **WHOLE), tmp_path / "whole.safetensors")
    return tmp_path / "whole.safetensors"


def pretrained(make_task: MakeTask, file: Path, **more: object) -> Task:
    weights = InitialWeights(source=str(file))
    known = known_weights(ModelConfig.model_validate({**WHOLE, "weights": weights}))
    return make_task("none", model={**WHOLE, **more, "weights": known})


def samples_of(batch: Batch) -> Samples:
    labels = batch.targets[UNNAMED].labels
    return Samples(batch.inputs, lambda outputs: F.cross_entropy(outputs, labels))


def same(one: Network, other: Network) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def test_a_narrower_student_keeps_the_strongest_channels_of_a_file(
    digits: Dataset, make_task: MakeTask, file: Path
) -> None:
    whole = network_of(digits, **WHOLE)
    student = initial_student(pretrained(make_task, file, width=0.5), digits)
    made = whole.get_submodule("stages.1.0").weight.detach().double().numpy()
    read = whole.classifier.weight.detach().double().numpy()
    norms = (made**2).sum(axis=(1, 2, 3)) + (read**2).sum(axis=0)
    strongest = sorted(np.argsort(-norms)[:16].tolist())
    assert torch.equal(student.classifier.weight, whole.classifier.weight[:, strongest])
    assert torch.equal(student.classifier.bias, whole.classifier.bias)


def test_gradients_need_a_trained_head(
    digits: Dataset, make_task: MakeTask, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    of_others = build_network(ModelConfig.model_validate(WHOLE), digits.inputs, 7)
    save_weights(of_others, tmp_path / "others.safetensors")
    by_others = pretrained(make_task, tmp_path / "others.safetensors", width=0.5)
    initial_student(by_others, digits)
    model = by_others.model.model_copy(update={"importance": "taylor"})
    with pytest.raises(ModelError, match=r"the narrow one cannot be cut by importance taylor.*7"):
        check_start(model, digits, "the narrow one")


def test_a_missing_file_is_told_of_the_network_that_was_asked_for(
    digits: Dataset, tmp_path: Path
) -> None:
    weights = InitialWeights(source=str(tmp_path / "gone.pt"))
    model = ModelConfig.model_validate({**WHOLE, "width": 0.5, "weights": weights})
    with pytest.raises(CheckpointError, match="no file of weights for the narrow one at "):
        check_start(model, digits, "the narrow one")


def test_a_file_of_the_very_width_is_loaded_as_it_is(
    digits: Dataset, make_task: MakeTask, tmp_path: Path
) -> None:
    narrow = network_of(digits, **WHOLE, width=0.5)
    save_weights(narrow, tmp_path / "narrow.safetensors")
    task = pretrained(make_task, tmp_path / "narrow.safetensors", width=0.5)
    assert same(initial_student(task, digits), narrow)
    for width in (0.4, 1, 2):
        with pytest.raises(CheckpointError, match="another architecture"):
            initial_student(
                pretrained(make_task, tmp_path / "narrow.safetensors", width=width), digits
            )


def test_multiples_are_cut_too(digits: Dataset, make_task: MakeTask, file: Path) -> None:
    student = initial_student(pretrained(make_task, file, round_to=12), digits)
    assert student.classifier.in_features == 24


@pytest.mark.parametrize("importance", ["magnitude", "bn_scale", "activation", "taylor"])
def test_a_student_is_cut_from_its_teacher(
    digits: Dataset, make_task: MakeTask, importance: str
) -> None:
    teacher = Teacher(network_of(digits, family="resnet", depth=8, width=0.5))
    for name, scale in teacher.network.named_parameters():
        if "bn" in name:
            scale.uniform_(0.5, 1.5)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    model = {"family": "resnet", "depth": 8, "width": 0.25, "cut_from": "teacher"}
    task = make_task("kd", model={**model, "importance": importance})
    task = task.model_copy(update={"teacher": "teacher"})
    student = initial_student(task, digits, origin_of(task, {"teacher": teacher}))
    expected = network_of(digits, family="resnet", depth=8, width=0.25)
    views = Views(digits.train, digits.scales, None, 0)
    batches = [views.batch(part, 0) for part in torch.arange(240).split(64)]
    cut(teacher.network, expected, importance, [samples_of(batch) for batch in batches])
    assert same(student, expected)
    assert all(torch.equal(value, before[n]) for n, value in teacher.network.state_dict().items())
    assert all(weight.requires_grad for weight in student.parameters())
    # the baseline of a finalist begins with the same weights
    plain = Recipe.of(task).undistilled()
    alone = task.model_copy(update={"model": plain.model, "method": plain.method, "teacher": None})
    assert same(initial_student(alone, digits, teacher.network), student)
    assert alone.key != task.key


def test_a_shallower_student_takes_some_layers_first(digits: Dataset, make_task: MakeTask) -> None:
    teacher = network_of(digits, family="resnet", depth=14, width=0.5)
    model = {"family": "resnet", "depth": 8, "width": 0.5, "cut_from": "teacher"}
    student = initial_student(make_task("none", model=model), digits, teacher)
    own, theirs = student.state_dict(), teacher.state_dict()
    # as wide, so whole layers: the first block of each stage
    assert torch.equal(own["stages.0.3.conv2.weight"], theirs["stages.0.3.conv2.weight"])
    assert torch.equal(own["stages.2.0.conv1.weight"], theirs["stages.2.0.conv1.weight"])
    narrow = initial_student(make_task("none", model={**model, "width": 0.25}), digits, teacher)
    between = network_of(digits, family="resnet", depth=8, width=0.5)
    between.load_state_dict(own)
    expected = network_of(digits, family="resnet", depth=8, width=0.25)
    cut(between, expected, "magnitude")
    assert same(narrow, expected)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"family": "convnet", "depth": 2, "width": 2}, "and the wider network 16"),
        ({"family": "convnet", "depth": 4, "width": 0.5}, "cannot be cut from a deeper network"),
    ],
)
def test_what_is_larger_cannot_be_cut(
    digits: Dataset, make_task: MakeTask, model: dict[str, object], reason: str
) -> None:
    teacher = network_of(digits, **WHOLE)
    task = make_task("none", model={**model, "cut_from": "teacher"})
    with pytest.raises(ModelError, match=reason):
        initial_student(task, digits, teacher)


@pytest.mark.parametrize("by", ["teacher", "born_again", None])
def test_such_students_are_trained_and_resumed(
    digits: Dataset, make_task: MakeTask, by: str | None
) -> None:
    teacher = Teacher(network_of(digits, **WHOLE))
    label = "none" if by is None else "kd"
    task = make_task(label, model={**WHOLE, "width": 0.5, "cut_from": "teacher"})
    task = task.model_copy(update={"teacher": by})
    program, again = (begin_training(task, digits, {"teacher": teacher}) for _ in range(2))
    program.train_epoch()
    again.load_state_dict(deepcopy(program.state_dict()))
    finish(program)
    finish(again)
    assert same(program.student, again.student)


def test_what_is_left_out_keeps_the_keys_of_before() -> None:
    plain = ModelConfig.model_validate(WHOLE)
    assert not {"cut_from", "importance", "round_to"} & plain.model_dump().keys()
    given = plain.model_copy(update={"cut_from": "teacher", "importance": "bn_scale"})
    assert given.model_dump()["importance"] == "bn_scale"
    assert (plain.init, given.init) == ("random", "cut_from_teacher")
    assert given.architecture == plain


def test_what_is_cut_still_knows_what_the_teacher_learnt(
    digits: Dataset, make_task: MakeTask
) -> None:
    """Without any training: far above chance, which random weights do not leave."""
    program = begin_training(make_task("none", model=WHOLE, epochs=20, lr=0.1), digits, {})
    finish(program)
    model = {**WHOLE, "width": 0.75, "cut_from": "teacher", "importance": "activation"}
    task = make_task("none", model=model, epochs=1, lr=1e-9)
    cut_student = Trainer(task, digits, origin=program.student)
    plain = make_task("none", model={**WHOLE, "width": 0.75}, epochs=1, lr=1e-9)
    random = Trainer(plain, digits)
    found = [each.evaluate_validation()["accuracy"] for each in (cut_student, random)]
    assert found[0] > 0.4
    assert found[1] < 0.3
