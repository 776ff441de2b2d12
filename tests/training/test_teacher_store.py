"""Teachers on disk: found by content, and never when a file is corrupt."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Dataset, load_dataset
from kdsearch.errors import CheckpointError
from kdsearch.models import Network, build_network
from kdsearch.models.weights import save_weights
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.study import StudySpec
from kdsearch.training.own_code import code_digest, own_code
from kdsearch.training.task import Task
from kdsearch.training.teacher_store import (
    TeacherStore,
    describe,
    given_teacher,
    teacher_key,
    teacher_task,
)


def make_spec(changes: dict[str, Any] | None = None) -> StudySpec:
    """A small study in which the value at each dotted name is replaced."""
    content: dict[str, Any] = {
        "study": {"name": "tiny"},
        "data": {"source": "digits", "validation": 0.2, "test": 0.25, "limit": 300},
        "teacher": {"model": {"family": "convnet", "depth": 2}, "training": {"epochs": 2}},
        "students": [{"family": "mlp"}],
        "methods": ["kd"],
    }
    for name, value in (changes or {}).items():
        *parents, leaf = name.split(".")
        section = content
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return StudySpec.model_validate(content)


def key(changes: dict[str, Any] | None = None) -> str:
    spec = make_spec(changes)
    return teacher_key(teacher_task(spec), load_dataset(spec.data))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.source", "tests.training.test_teacher_store:other_source"),
        ("data.limit", 200),
        ("data.seed", 1),
        ("data.augment", {"crop": 1}),
        ("teacher.model", {"family": "mlp"}),
        ("teacher.model.width", 2),
        ("teacher.model.depth", 3),
        ("teacher.training.epochs", 3),
        ("teacher.training.lr", 0.01),
        ("teacher.training.nesterov", False),
        ("teacher.seed", 1),
    ],
)
def test_the_key_changes_with_what_decides_the_teacher(name: str, value: Any) -> None:
    assert key({name: value}) != key()


def other_source() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of a user's own."""
    return torch.arange(200 * 64, dtype=torch.uint8).view(200, 8, 8), torch.arange(200) % 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("study.name", "another"),
        ("study.seed", 9),
        ("study.directory", "elsewhere"),
        ("students", [{"family": "convnet", "width": 0.5}]),
        ("methods", ["dkd", "at"]),
        ("training.epochs", 40),
        ("search.trials", 3),
        ("finalists.seeds", 4),
        ("resources.cpus_per_trial", 2),
        ("tracking.experiment", "other"),
    ],
)
def test_the_key_does_not_change_with_the_rest_of_the_study(name: str, value: Any) -> None:
    assert key({name: value}) == key()


def test_one_pixel_makes_another_teacher(digits: Dataset) -> None:
    task = teacher_task(make_spec())
    images = digits.train.images.clone()
    images[0, 0, 0, 0] += 1
    other = replace(digits, train=replace(digits.train, inputs={"image": images}))
    assert teacher_key(task, other) != teacher_key(task, digits)


def test_the_teacher_is_trained_without_distillation_under_its_own_seeds() -> None:
    task = teacher_task(make_spec({"data.augment": {"flip": True}}))
    assert (task.method.label, task.method.terms) == ("none", ())
    assert task.training.epochs == 2
    assert task.augment.flip
    assert task.seed != task.views_seed


@pytest.fixture
def task(make_task: Callable[..., Task]) -> Task:
    return make_task()


@pytest.fixture
def network(task: Task, digits: Dataset) -> Network:
    torch.manual_seed(8)
    return build_network(task.model, digits.inputs, len(digits.classes))


@pytest.fixture
def store(tmp_path: Path, network: Network, task: Task) -> TeacherStore:
    """A store that holds the network under the key ``k``."""
    store = TeacherStore(tmp_path / "teachers")
    store.keep("k", network, task, {"history": [{"epoch": 1, "accuracy": 0.5}]})
    return store


def test_a_kept_teacher_is_found_whole(
    store: TeacherStore, network: Network, task: Task, digits: Dataset
) -> None:
    found = TeacherStore(store.folder).find("k")
    assert found is not None
    assert found.key == "k"
    assert found.model == task.model
    assert found.facts["history"] == [{"epoch": 1, "accuracy": 0.5}]
    assert Task.model_validate(found.facts["task"]) == task
    built = found.build(digits).state_dict()
    assert all(torch.equal(value, built[name]) for name, value in network.state_dict().items())


def test_a_store_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert TeacherStore(tmp_path / "absent").find("k") is None


def test_another_key_is_not_found(store: TeacherStore) -> None:
    assert store.find("other") is None


@pytest.mark.parametrize("file", ["teacher.safetensors", "teacher.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed"])
def test_a_damaged_file_is_found_out(store: TeacherStore, file: str, damage: str) -> None:
    path = store.folder / "k" / file
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "removed":
        path.unlink()
    elif damage == "flipped" and file == "teacher.safetensors":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "flipped":
        path.write_bytes(content.replace(b'"sha256": "', b'"sha256": "0', 1))
    else:
        path.write_bytes(content[:middle] if damage == "cut" else b"")
    assert store.find("k") is None


@pytest.mark.parametrize("content", [[], 3, None, {}, {"sha256": 0}, "text"])
def test_a_json_of_something_else_is_found_out(store: TeacherStore, content: Any) -> None:
    (store.folder / "k" / "teacher.json").write_text(json.dumps(content))
    assert store.find("k") is None


@pytest.mark.parametrize("model", [None, "convnet", {"family": 3}, {"width": 1}, {"colour": 1}])
def test_a_model_that_cannot_be_is_found_out(store: TeacherStore, model: Any) -> None:
    path = store.folder / "k" / "teacher.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": model}))
    assert store.find("k") is None


def test_a_teacher_of_other_data_does_not_fit(store: TeacherStore, digits: Dataset) -> None:
    found = store.find("k")
    assert found is not None
    with pytest.raises(CheckpointError, match=r"made for 10 classes .* the data have 5"):
        found.build(replace(digits, problem=Problem.of_classes(digits.classes[:5])))


def test_a_teacher_can_be_kept_anew(store: TeacherStore, network: Network, task: Task) -> None:
    (store.folder / "k" / "teacher.safetensors").write_bytes(b"torn")
    store.keep("k", network, task, {})
    assert store.find("k") is not None


SOURCE = """
from torch import nn
from {other} import activation

def net(image_shape, classes, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), activation(), nn.Linear(8, classes))
"""


def key_of_code(folder: Path, source: str, helper: str) -> str:
    """The key of a teacher that a user's module makes, with a helper module beside it."""
    (folder / "net_of_mine.py").write_text(source.format(other="parts_of_mine"))
    (folder / "parts_of_mine.py").write_text(helper)
    for name in ("net_of_mine", "parts_of_mine"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return key({"teacher.model": {"family": "net_of_mine:net"}})


def test_the_code_of_a_users_network_is_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    relu, tanh = (f"from torch.nn import {n} as activation\n" for n in ("ReLU", "Tanh"))
    first = key_of_code(tmp_path, SOURCE, relu)
    assert key_of_code(tmp_path, SOURCE, relu) == first
    assert key_of_code(tmp_path, SOURCE, tanh) != first
    assert key_of_code(tmp_path, SOURCE.replace("activation()", "nn.GELU()"), relu) != first
    (tmp_path / "unrelated.py").write_text("x = 1")
    assert key_of_code(tmp_path, SOURCE, relu) == first


def test_what_a_package_imports_within_itself_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "package_of_mine"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    (package / "nets.py").write_text("def net(**given):\n    from .inner import blocks\n")
    (package / "inner" / "blocks.py").write_text("from ..constants import N\n")
    model, seen = ModelConfig(family="package_of_mine.nets:net"), []
    for number in ("1", "2"):
        (package / "constants.py").write_text(f"N = {number}\n")
        seen.append(code_digest(model))
    assert seen[0] != seen[1]


METHOD = """
from kdsearch.methods.kd import KD

class Mine(KD):
    name = "mine"
"""


def test_the_code_of_a_users_parts_is_known_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_of_ours.py").write_text("def net(**given): pass\n")
    (tmp_path / "methods_of_ours.py").write_text(METHOD)
    spec = make_spec(
        {
            "students": [{"family": "mlp"}, {"family": "nets_of_ours:net"}],
            "methods": {"none": {}, "at+methods_of_ours:Mine": {}},
        }
    )
    first = own_code(spec)
    assert list(first) == ["nets_of_ours:net", "methods_of_ours:Mine"]
    (tmp_path / "methods_of_ours.py").write_text(METHOD.replace("mine", "yours"))
    again = own_code(spec)
    assert {name for name in first if first[name] != again[name]} == {"methods_of_ours:Mine"}


def test_kdsearchs_own_networks_have_no_code_in_the_key() -> None:
    for family in ("resnet", "torchvision/resnet18"):
        assert code_digest(ModelConfig(family=family)) == ""


def test_a_given_checkpoint_is_checked_and_known_by_its_content(
    tmp_path: Path, network: Network, digits: Dataset, task: Task
) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(network, path)
    teacher = {"model": task.model.model_dump(), "checkpoint": str(path)}
    found = given_teacher(make_spec({"teacher": teacher}), digits)
    assert found is not None
    assert found.weights == path
    assert path.exists()
    first = found.key
    with torch.no_grad():
        network.classifier.bias.add_(1)
    save_weights(network, path)
    again = given_teacher(make_spec({"teacher": teacher}), digits)
    assert again is not None
    assert again.key != first


def test_without_a_checkpoint_there_is_no_given_teacher(digits: Dataset) -> None:
    assert given_teacher(make_spec(), digits) is None


def test_a_given_checkpoint_of_another_width_is_refused_with_the_teachers_name(
    tmp_path: Path, network: Network, digits: Dataset
) -> None:
    save_weights(network, tmp_path / "mine.safetensors")
    teacher = {
        "model": {"family": "convnet", "width": 2.0, "depth": 2},
        "checkpoint": str(tmp_path / "mine.safetensors"),
    }
    with pytest.raises(CheckpointError, match=r"the teacher \(convnet depth 2 width 2\)"):
        given_teacher(make_spec({"teacher": teacher}), digits)


def test_a_given_checkpoint_that_is_missing_is_refused(tmp_path: Path, digits: Dataset) -> None:
    changes = {"teacher.checkpoint": str(tmp_path / "absent.pt")}
    with pytest.raises(CheckpointError, match=r"no file of weights for the teacher .* check"):
        given_teacher(make_spec(changes), digits)


def test_a_model_in_a_few_words() -> None:
    assert describe(ModelConfig(family="mlp", width=0.25)) == "mlp width 0.25"
    assert describe(ModelConfig(family="resnet", width=2, depth=20)) == "resnet depth 20 width 2"
