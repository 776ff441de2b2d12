"""A trained student in 8 bits: its scores against onnxruntime and scikit-learn by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import accuracy_score, mean_absolute_error

from kdsearch.data import Dataset, load_dataset
from kdsearch.graphs.int8_file import CALIBRATION, to_int8
from kdsearch.graphs.onnx_file import to_onnx
from kdsearch.graphs.samples import SampleNetwork, samples_of
from kdsearch.models.network import Network
from kdsearch.models.signals import Trace
from kdsearch.problems import Problem
from kdsearch.spec import parse_spec
from kdsearch.spec.sections import DataSection
from kdsearch.training.quantized import quantized
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.trainer import Trainer


@pytest.fixture(scope="module")
def student(digits: Dataset, make_task: Callable[..., Task]) -> Network:
    trainer = Trainer(make_task(lr=0.1, epochs=6), digits)
    while not trainer.finished:
        trainer.train_epoch()
    return trainer.student.eval()


def test_its_scores_are_those_of_the_quantized_file(student: Network, digits: Dataset) -> None:
    before = {name: value.clone() for name, value in student.state_dict().items()}
    reference = Reference(Teacher(student), digits)
    found = quantized(student, digits, reference, 1)
    assert found.failure is None
    module = SampleNetwork(student, digits.problem.heads, student.inputs, digits.scales)
    original = to_onnx(module, {})
    content = to_int8(original, samples_of(digits.train, student.inputs, CALIBRATION))
    assert (found.onnx_bytes, found.bytes) == (len(original), len(content))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for split, scores in ((digits.validation, found.validation), (digits.test, found.test)):
        (outputs,) = session.run(None, {"image": split.images.numpy()})
        said = outputs.argmax(axis=1)
        assert scores["accuracy"] == pytest.approx(accuracy_score(split.labels, said), abs=1e-6)
    with torch.no_grad():
        teacher = module(digits.test.images).argmax(1).numpy()
    (outputs,) = session.run(None, {"image": digits.test.images.numpy()})
    agreement = float(np.mean(teacher == outputs.argmax(axis=1)))
    assert found.test["agreement"] == pytest.approx(agreement)
    assert agreement > 0.9
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_values_are_scored_in_their_own_unit() -> None:
    spec = parse_spec(
        """
study: {name: ink}
data: {source: digits, limit: 200}
problem: {tasks: {ink: value}}
teacher: {model: {family: mlp}, training: {epochs: 1}}
students: [{family: mlp, width: 0.25}]
methods: [none]
"""
    )
    data = load_dataset(spec.data, Problem.of(spec))
    from kdsearch.models import build_network
    from kdsearch.spec import ModelConfig

    network = build_network(ModelConfig(family="mlp", width=0.5), data.inputs, data.outputs)
    found = quantized(network.eval(), data, None, 1)
    assert found.failure is None
    module = SampleNetwork(network, data.problem.heads, network.inputs, data.scales)
    with torch.no_grad():
        values = module(data.test.images)[:, 0].numpy()
    expected = mean_absolute_error(data.test.targets["ink"].numpy(), values)
    assert found.test["mae"] == pytest.approx(expected, rel=0.02)


class ByValue(Network):
    """Nothing that depends on values can be traced."""

    def trace(self, images: torch.Tensor) -> Trace:
        logits = images.flatten(1)[:, :10]
        return Trace(logits * 2 if images.sum() > 0 else logits, logits, ())


def test_what_cannot_be_exported_has_a_reason_and_no_scores(digits: Dataset) -> None:
    found = quantized(ByValue(digits.inputs, 10), digits, None, 1)
    assert found.failure is not None
    assert "cannot" in found.failure
    assert found.test == {}
    assert found.bytes is None


def test_calibration_samples_are_of_the_training_split() -> None:
    data = load_dataset(DataSection(source="digits", validation=0.2, test=0.25))
    samples = samples_of(data.train, data.inputs, CALIBRATION)["image"]
    assert samples.dtype == np.uint8
    assert len(samples) == 512
    known = {each.tobytes() for each in data.train.images.numpy()}
    assert all(each.tobytes() in known for each in samples)
