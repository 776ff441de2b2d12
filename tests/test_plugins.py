"""Parts of a user's own, by ``module:name`` and as installed packages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import DataError, MethodError, ModelError
from kdsearch.methods import find_method, label_hyperparameters, method_config, method_names
from kdsearch.methods.kd import KD
from kdsearch.models import build_network, of_images
from kdsearch.models.registry import FAMILIES
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.sections import DataSection
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer

MODULE = '''
import numpy as np
import torch.nn.functional as F
from torch import nn
from kdsearch.methods import Hyperparameter, Method
from kdsearch.models import Signal
from kdsearch.spec.ranges import Range

class Cosine(Method):
    """1 - cosine of the two logit vectors."""
    name = "cosine"
    kind = "logit"
    paper = "our own"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(2.0, Range(low=0.1, high=20, log=True), "weight")}

    def forward(self, student, teacher, targets, progress):
        return {"cosine": (1 - F.cosine_similarity(student.logits, teacher.logits)).mean()}

class Nameless(Method):
    kind = "logit"

class Odd(Cosine):
    kind = "odd"

class Weightless(Cosine):
    hyperparameters = {}

class Unfinished(Method):
    name, kind, paper = "unfinished", "logit", "none"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(1.0, None, "weight")}

class Spaced(Cosine):
    name = "two words"

def small(image_shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

def images():
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6), dtype=np.uint8)
    return images, np.arange(40) % 2
'''

POINTS = """
[kdsearch.methods]
cosine = {module}:Cosine
gone = {module}:Gone
kd = {module}:Cosine

[kdsearch.models]
small = {module}:small
convnet = {module}:small

[kdsearch.datasets]
images = {module}:images
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of the user's own in the current directory."""
    name = f"own_parts_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def package(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same installed as a package with entry points."""
    info = tmp_path / "own_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS.format(module=module))
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


def test_a_method_of_ones_own_trains_with_its_own_range(
    module: str, digits: Dataset, make_task: Callable[..., Task]
) -> None:
    label = f"{module}:Cosine+at"
    declared = label_hyperparameters(label)
    assert declared["cosine.weight"].default == 2.0
    assert declared["cosine.weight"].search.bounds() == (0.1, 20)
    teacher = Teacher(build_network(ModelConfig(family="convnet"), digits.inputs, 10))
    task = make_task(label, {"cosine.weight": 3.0}, model={"family": "convnet", "width": 0.5})
    trainer = Trainer(task, digits, teacher)
    batch = next(trainer.begin_epoch())
    images = batch.inputs["image"]
    answers = teacher.observe(batch, trainer.distiller.objective.signals)
    parts = trainer.distiller(batch.inputs, batch.targets, answers, 0.0)
    with torch.no_grad():
        z_s, z_t = trainer.student(images).double(), teacher.network(images).double()
    cosine = (z_s * z_t).sum(1) / z_s.norm(dim=1) / z_t.norm(dim=1)
    assert parts["cosine"].item() == pytest.approx(3 * (1 - cosine).mean().item(), rel=1e-4)
    assert trainer.train_epoch().loss > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Cosin", "has no class 'Cosin'; did you mean 'Cosine'"),
        ("small", "is no kdsearch.methods.Method"),
        ("Nameless", "does not state its 'name'"),
        ("Odd", "has the kind 'odd'; valid"),
        ("Weightless", "has no hyperparameter 'weight'"),
        ("Unfinished", "does not define forward"),
        ("Spaced", "has the name 'two words'"),
        ("", "is incomplete; write it as module:class"),
    ],
)
def test_an_unfinished_method_is_refused_with_what_it_lacks(
    module: str, name: str, words: str
) -> None:
    with pytest.raises(MethodError, match=words) as caught:
        method_config(f"{module}:{name}", {})
    assert "\n" not in str(caught.value)


def test_a_method_in_a_module_that_is_not_there() -> None:
    with pytest.raises(MethodError, match="names the module 'absent_module', which is neither"):
        find_method("absent_module:Mine")


def test_installed_methods_have_names_and_cannot_take_kdsearchs(package: str) -> None:
    assert find_method("cosine").name == "cosine"
    assert {"cosine", "gone"} <= set(method_names())
    assert method_names().count("kd") == 1
    assert find_method("kd") is KD
    with pytest.raises(MethodError, match=r"plug-in 'gone' .* cannot be loaded"):
        find_method("gone")
    with pytest.raises(MethodError, match="did you mean 'cosine'"):
        find_method("cosin")


def test_installed_models_have_names_and_cannot_take_kdsearchs(package: str) -> None:
    network = build_network(ModelConfig(family="small"), of_images((1, 6, 6)), 3)
    assert network(torch.zeros(2, 1, 6, 6)).shape == (2, 3)
    own = build_network(ModelConfig(family="convnet"), of_images((1, 6, 6)), 3)
    assert type(own) is type(
        FAMILIES["convnet"].build(ModelConfig(family="convnet"), of_images((1, 6, 6)), 3)
    )
    with pytest.raises(ModelError, match="did you mean 'small'"):
        build_network(ModelConfig(family="smal"), of_images((1, 6, 6)), 3)


def test_installed_data_sets_have_names(package: str) -> None:
    data = load_dataset(DataSection(source="images"))
    assert data.inputs == of_images((1, 6, 6))
    with pytest.raises(DataError, match="did you mean 'images'"):
        load_dataset(DataSection(source="image"))
