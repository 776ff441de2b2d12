"""Trainings of students with ways: their form at the end, on disk, after a resume, and as ONNX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kdsearch.data import Dataset
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.samples import SampleNetwork, samples_of
from kdsearch.models import build_network, measure, measure_config
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.training.programs import begin_training
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer, shipped_weights
from kdsearch.ways import make_ways, storing, way_configs, way_hyperparameters
from tests.training.trainings import assert_same_weights, finish, through_a_file

LABELS = [
    "low_rank",
    "share",
    "sparse",
    "two_of_four",
    "codebook",
    "quantize",
    "low_rank+quantize",
    "share+sparse",
    "prune+low_rank+quantize",
]
MLP = {"family": "mlp", "width": 0.5, "depth": 3}


@pytest.fixture
def task_of(make_task: Callable[..., Task]) -> Callable[..., Task]:
    def make(label: str, method: str = "none", stored: str = "float32", **training: Any) -> Task:
        rank = {name: 0.3 for name in way_hyperparameters(label) if name.endswith("rank")}
        ways = [each.model_dump() for each in way_configs(label, rank)]
        model = MLP | {"stored": stored, "ways": ways}
        return make_task(method, model=model, **training)

    return make


@pytest.mark.parametrize("stored", ["float32", "float16"])
@pytest.mark.parametrize("label", LABELS)
def test_what_is_saved_is_as_large_as_was_said_and_read_to_the_bit(
    digits: Dataset, task_of: Callable[..., Task], tmp_path: Path, label: str, stored: str
) -> None:
    task = task_of(label, stored=stored, epochs=2)
    training = begin_training(task, digits, {})
    finish(training)
    student, file = training.student, tmp_path / "student.safetensors"
    save_weights(student, file)
    known = measure_config(task.model, digits.inputs, digits.outputs)
    content = load_file(file).values()
    assert sum(each.numel() * each.element_size() for each in content) == known.bytes
    assert measure(student) == known
    plain = task.model.model_copy(update={"ways": ()})
    assert known.bytes < measure_config(plain, digits.inputs, digits.outputs).bytes
    torch.manual_seed(5)
    again = build_network(task.model, digits.inputs, digits.outputs)
    load_weights(again, file, "the student")
    assert_same_weights(again, student)
    way = storing(make_ways(task.model.ways))
    if way is not None:
        for _, layer in way.layers(again):
            packed = way.pack(layer.weight.detach(), torch.float32)
            assert torch.equal(way.unpack(packed, tuple(layer.weight.shape)), layer.weight)


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("label", LABELS)
def test_one_that_is_resumed_after_any_epoch_ends_alike(
    digits: Dataset, task_of: Callable[..., Task], label: str, ema: float | None
) -> None:
    task = task_of(label, epochs=3, ema=ema)
    whole = Trainer(task, digits)
    finish(whole)
    for cut in (1, 2, 3):
        before = Trainer(task, digits, rungs=(1,))
        for _ in range(cut):
            before.train_epoch()
        after = Trainer(task, digits, rungs=(1,))
        after.load_state_dict(through_a_file(before.state_dict()))
        finish(after)
        assert_same_weights(after.student, whole.student)
        assert after.evaluate_validation() == whole.evaluate_validation()
    shipped = shipped_weights(whole.state_dict())
    assert shipped.keys() == whole.student.state_dict().keys()


@pytest.mark.parametrize("label", LABELS)
def test_a_teacher_changes_the_student_and_the_file_answers_as_it(
    digits: Dataset, task_of: Callable[..., Task], make_teacher: Callable[..., Teacher], label: str
) -> None:
    alone = begin_training(task_of(label, epochs=2), digits, {})
    taught = Trainer(task_of(label, "kd", epochs=2), digits, make_teacher())
    finish(alone)
    finish(taught)
    values = zip(alone.student.parameters(), taught.student.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in values)
    module = SampleNetwork(
        taught.student.eval(), digits.problem.heads, taught.student.inputs, digits.scales
    )
    samples = samples_of(digits.test, module.inputs, 64)
    assert check_onnx(to_onnx(module, {}), module, samples) < 1e-4
