"""The suite that every way to a small model passes, kdsearch's own and a user's alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from kdsearch.errors import ModelError
from kdsearch.graphs.onnx_file import check_onnx, to_onnx
from kdsearch.graphs.samples import SampleNetwork, samples_of
from kdsearch.methods import UNDISTILLED, method_config
from kdsearch.models import Network, Size, build_network, measure, measure_config
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.spec.concrete import ModelConfig
from kdsearch.testing.material import differing, random_data
from kdsearch.testing.training import TRAINING, label_of, through_a_file
from kdsearch.training.programs import begin_training
from kdsearch.training.stages import stage_tasks
from kdsearch.training.task import Task
from kdsearch.ways import WAYS, Way, find_way, way_configs

STUDENTS = (
    ModelConfig(family="convnet", width=0.5, depth=3),
    ModelConfig(family="resnet", width=0.5, depth=14),
    ModelConfig(family="mlp", width=0.5, depth=3),
)
"""Students of convolutions, of blocks alike, and of linear layers."""

SAME = 1e-4
"""How near outputs of a file are to those of PyTorch."""


class WayConformance:
    """Everything that every way keeps.

    ::

        class TestMine(WayConformance):
            way = Mine                      # or "my_ways:Mine", or a name

    A subclass may override :attr:`values` and :attr:`students`. A student of which the way makes
    nothing is skipped with the reason; there must be one of which it makes something.
    """

    way: ClassVar[type[Way] | str]
    """The way."""
    values: ClassVar[Mapping[str, float]] = {}
    """Values other than the published ones."""
    students: ClassVar[tuple[ModelConfig, ...]] = STUDENTS
    """The students that it is tried on."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each student."""
        if "student" in metafunc.fixturenames:
            names = [f"{each.family}-{each.depth}" for each in self.students]
            metafunc.parametrize("student", self.students, ids=names)

    def find(self) -> type[Way]:
        """The class."""
        return find_way(self.way) if isinstance(self.way, str) else self.way

    def test_it_states_what_it_is(self) -> None:
        """Name, what it does, source, and values whose published default makes sense."""
        way = self.find()
        for fact in ("name", "about", "paper", "changes"):
            assert getattr(way, fact), f"state the way's {fact}"
        for name, declared in way.hyperparameters.items():
            fault = declared.fault(declared.default)
            assert fault is None, f"the published default of '{name}' {fault}"
            assert declared.about, f"say what '{name}' is"

    def test_it_makes_something_of_a_student(self) -> None:
        """It accepts at least one student, and that one needs fewer bytes or computes less, than
        without it or than what it is cut from."""
        found = [each for each in map(self._model, self.students) if not _refusal(each)]
        assert found, "no student is accepted; list some that are, as students"
        if self.find().changes == "start":
            for model in found:
                stages = stage_tasks(_task(model))
                wide, small = (_size(stages[place].model) for place in (0, -1))
                assert small.macs < wide.macs, "the first stage is no wider than the student"
            return
        for model in found:
            plain, small = (_size(each) for each in (_without(model), model))
            assert small.bytes < plain.bytes or small.macs < plain.macs, (
                f"the {model.family} has as many bytes and multiply-accumulates as before; let "
                "check refuse it"
            )

    def test_the_size_is_known_before_the_training(self, student: ModelConfig) -> None:
        """What is said of the architecture is true of the trained student and of its file."""
        training, known = self._training(student), _size(self._model(student))
        assert measure(training.student) == known, "another size after the training than before"
        assert training.bytes == known.bytes, (
            f"the stored weights take {training.bytes} bytes, packed_bytes says {known.bytes}"
        )

    def test_stored_weights_are_read_to_the_bit(self, student: ModelConfig) -> None:
        """The student that is read is the one that was trained."""
        training = self._training(student)
        changed = differing(training.read, training.student.state_dict())
        assert not changed, f"reading the file changes {changed}; let unpack undo pack"

    def test_all_that_is_trained_moves(self, student: ModelConfig) -> None:
        """A gradient reaches every parameter."""
        training = self._training(student)
        still = [
            name
            for name, value in training.trained.items()
            if torch.equal(value, training.begun[name])
        ]
        assert not still, f"{still} are not trained; let the gradient pass"

    def test_a_resumed_training_is_the_uninterrupted_one(self, student: ModelConfig) -> None:
        """From the checkpoint after the first epoch the student comes out the same."""
        training = self._training(student)
        changed = differing(training.resumed, training.student.state_dict())
        assert not changed, (
            f"a resumed training gives another {changed}; register all that the form remembers as "
            "buffers"
        )

    def test_the_exported_file_is_the_student(self, student: ModelConfig) -> None:
        """As ONNX, run by onnxruntime, it has the outputs that PyTorch has."""
        network, data = self._training(student).student.eval(), random_data()
        module = SampleNetwork(network, data.problem.heads, network.inputs, data.scales)
        samples = samples_of(data.test, module.inputs, 8)
        assert check_onnx(to_onnx(module, {}), module, samples) < SAME

    @pytest.fixture(autouse=True)
    def _findable(self) -> Iterator[None]:
        """A name under which the way is found as long as a test runs."""
        with label_of(self.find(), WAYS) as label:
            self._label = label
            yield

    def _model(self, student: ModelConfig) -> ModelConfig:
        return student.model_copy(update={"ways": way_configs(self._label, self.values)})

    def _training(self, student: ModelConfig) -> _Training:
        model = self._model(student)
        reason = _refusal(model)
        if reason:
            pytest.skip(reason)
        way = self.find()
        return _train(f"{way.__module__}.{way.__qualname__}", model)


@dataclass(frozen=True)
class _Training:
    """A training of four epochs, one that was resumed after the first, and a file of the student.

    Attributes:
        student: At the end.
        begun: Its parameters after the second epoch.
        trained: The same after the third.
        resumed: The resumed student's state.
        read: The state of the student that is read from the file.
        bytes: Of the weights in the file.
    """

    student: Network
    begun: dict[str, Tensor]
    trained: dict[str, Tensor]
    resumed: dict[str, Tensor]
    read: dict[str, Tensor]
    bytes: int


@lru_cache(maxsize=4)
def _train(way: str, model: ModelConfig) -> _Training:
    """The training of a student, once for each way of this name in all."""
    task, data = _task(model), random_data()
    trainer = begin_training(task, data, {})
    trainer.train_epoch()
    checkpoint = through_a_file(trainer.state_dict())
    trainer.train_epoch()
    begun = _parameters(trainer.student)
    trainer.train_epoch()
    trained = _parameters(trainer.student)
    trainer.train_epoch()
    resumed = begin_training(task, data, {})
    resumed.load_state_dict(checkpoint)
    while not resumed.finished:
        resumed.train_epoch()
    with TemporaryDirectory() as folder:
        file = Path(folder, "student.safetensors")
        save_weights(trainer.student, file)
        read = build_network(model, data.inputs, data.outputs)
        load_weights(read, file, "the student")
        stored = load_file(file).values()
    return _Training(
        student=trainer.student,
        begun=begun,
        trained=trained,
        resumed=resumed.student.state_dict(),
        read=read.state_dict(),
        bytes=sum(each.numel() * each.element_size() for each in stored),
    )


def _task(model: ModelConfig) -> Task:
    training = TRAINING.model_copy(update={"epochs": 4})
    method = method_config(UNDISTILLED, {})
    return Task(model=model, method=method, training=training, views_seed=1, seed=2)


def _parameters(network: Network) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def _size(model: ModelConfig) -> Size:
    data = random_data()
    return measure_config(model, data.inputs, data.outputs)


def _without(model: ModelConfig) -> ModelConfig:
    return model.model_copy(update={"ways": ()})


def _refusal(model: ModelConfig) -> str:
    """Why a way makes nothing of a student; empty where it does."""
    try:
        _size(model)
    except ModelError as error:
        return str(error)
    return ""
