"""What a training begins with, and what is done to its network afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kdsearch.data import Dataset, Views
from kdsearch.errors import CheckpointError, DivergedError
from kdsearch.models import build_network, measure
from kdsearch.models.weights import load_weights, round_to_stored, save_weights
from kdsearch.models.weights.sources import known_weights
from kdsearch.spec import ModelConfig
from kdsearch.spec.concrete import InitialWeights
from kdsearch.training.initial import initial_student
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.training.trainings import finish

MakeTask = Callable[..., Task]
MODEL = {"family": "convnet", "width": 0.5, "depth": 2}


@pytest.fixture
def file(digits: Dataset, tmp_path: Path) -> Path:
    torch.manual_seed(99)
    save_weights(
        build_network(ModelConfig(**MODEL), digits.inputs, 10), tmp_path / "mine.safetensors"
    )
    return tmp_path / "mine.safetensors"


def beginning(make_task: MakeTask, file: Path, **more: object) -> Task:
    weights = known_weights(ModelConfig(**MODEL, weights=InitialWeights(source=str(file))))
    return make_task("none", model={**MODEL, "weights": weights}, **more)


def test_a_training_begins_with_the_weights_of_its_file(
    digits: Dataset, make_task: MakeTask, file: Path
) -> None:
    student = initial_student(beginning(make_task, file), digits)
    given = load_file(file)
    assert all(torch.equal(value, given[name]) for name, value in student.state_dict().items())
    random = initial_student(make_task("none", model=MODEL), digits)
    assert not torch.equal(random.state_dict()["classifier.weight"], given["classifier.weight"])


def test_the_content_of_the_file_counts_and_not_its_place(
    digits: Dataset, make_task: MakeTask, file: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(file.read_bytes())
    keys = {beginning(make_task, each).key for each in (file, moved)}
    keys.add(make_task("none", model=MODEL).key)
    assert len(keys) == 2
    task = beginning(make_task, file)
    torch.manual_seed(7)
    save_weights(build_network(ModelConfig(**MODEL), digits.inputs, 10), file)
    assert beginning(make_task, file).key not in keys
    with pytest.raises(CheckpointError, match="is not the file of initial weights that the study"):
        initial_student(task, digits)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"initial weights .* cannot be read \(No such file"):
        initial_student(task, digits)


def test_what_is_left_out_keeps_the_keys_of_before(make_task: MakeTask) -> None:
    plain = ModelConfig(**MODEL)
    assert plain.model_dump(mode="json") == {**MODEL, "adopts": None}
    half = make_task("none", model={**MODEL, "stored": "float16"})
    assert half.key != make_task("none", model=MODEL).key


@pytest.mark.parametrize("teacher", [None, "born_again"])
def test_a_student_is_scored_as_it_is_shipped(
    digits: Dataset, make_task: MakeTask, tmp_path: Path, teacher: str | None
) -> None:
    """The last report is that of the rounded weights, which the file holds in two bytes each."""
    model = {**MODEL, "stored": "float16"}
    label = "none" if teacher is None else "kd"
    task = make_task(label, model=model, epochs=2, batch_size=64).model_copy(
        update={"teacher": teacher}
    )
    program = begin_training(task, digits, {})
    reports = []
    while not program.finished:
        reports.append(program.train_epoch())
        values = program.student.state_dict()["classifier.weight"]
        rounded = torch.equal(values, values.half().float())
        assert rounded == program.finished
    save_weights(program.student, tmp_path / "student.safetensors")
    weights = load_file(tmp_path / "student.safetensors")
    assert {each.dtype for each in weights.values()} == {torch.float16, torch.int64}
    shipped = build_network(ModelConfig(**MODEL), digits.inputs, 10).eval()
    load_weights(shipped, tmp_path / "student.safetensors", "the student")
    views = Views(digits.validation, digits.scales, None, 0)
    with torch.no_grad():
        outputs = shipped(views.inputs(torch.arange(len(views)), 0)["image"])
    right = (outputs.argmax(dim=1) == digits.validation.labels).double().mean()
    assert reports[-1].scores["accuracy"] == pytest.approx(float(right))


def test_bytes_are_those_of_the_file(digits: Dataset, tmp_path: Path) -> None:
    for stored in ("float32", "float16"):
        network = build_network(ModelConfig(**MODEL, stored=stored), digits.inputs, 10)
        save_weights(network, tmp_path / "student.safetensors")
        found = load_file(tmp_path / "student.safetensors").values()
        assert measure(network).bytes == sum(each.nbytes for each in found)


def test_training_itself_is_as_before(digits: Dataset, make_task: MakeTask) -> None:
    whole = Trainer(make_task("none", model=MODEL, epochs=2), digits)
    half = Trainer(make_task("none", model={**MODEL, "stored": "float16"}, epochs=2), digits)
    finish(whole), finish(half)
    for name, value in whole.student.state_dict().items():
        other = half.student.state_dict()[name]
        expected = value.numpy()
        if value.is_floating_point():
            expected = expected.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(other.numpy(), expected)


def test_a_weight_that_does_not_fit_is_told(digits: Dataset) -> None:
    network = build_network(ModelConfig(**MODEL, stored="float16"), digits.inputs, 10)
    with torch.no_grad():
        network.classifier.bias[3] = 1e5  # type: ignore[index,union-attr,operator]
    with pytest.raises(DivergedError, match=r"classifier\.bias is beyond what float16 holds"):
        round_to_stored(network)


def test_an_adopted_classifier_knows_nothing_of_its_teachers_file(
    digits: Dataset, file: Path
) -> None:
    teacher = ModelConfig(**MODEL, weights=InitialWeights(source=str(file)))
    assert teacher.architecture == ModelConfig(**MODEL)

    assert Teacher(build_network(teacher, digits.inputs, 10)).shapes.classes == 10
