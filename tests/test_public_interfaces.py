"""kdsearch uses public names of Ray, Optuna, MLflow and PyTorch alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "kdsearch"
LIBRARIES = {"ray", "optuna", "mlflow", "torch", "torchvision"}
OWN = {"self", "cls", "os"}  # os._exit is documented
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

ALLOWED = {
    "data/feeds/worker_feed.py",  # the worker processes of a DataLoader's iterator
    "models/taps/calls.py",  # the count of changes in place of a tensor
    "models/rescale.py",  # a base class of PyTorch's layers
    "spec/load.py",  # a private attribute of our own specification
    "training/averaging.py",  # PyTorch's multi-tensor functions
}
"""Files that still use private names of others."""


def is_private(name: str) -> bool:
    return any(
        part.startswith("_") and not (part.startswith("__") and part.endswith("__"))
        for part in name.split(".")
    )


def private_names(tree: ast.Module) -> Iterator[str]:
    """Private names that a module takes from others, each with its line."""
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        for name in _private_names_of(node, OWN | classes):
            yield f"{name} (line {node.lineno})"  # type: ignore[attr-defined]


def _private_names_of(node: ast.AST, own: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names if _of_a_library(each.name))
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [f"{node.module}.{each.name}" for each in node.names]
        yield from filter(_of_a_library, names)
    elif isinstance(node, ast.Attribute) and is_private(node.attr):
        owner = node.value
        if isinstance(owner, ast.Call):  # super()._name
            owner = owner.func
        if not (isinstance(owner, ast.Name) and owner.id in own | {"super"}):
            yield ast.unparse(node)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
        name = node.args[1]
        if isinstance(name, ast.Constant) and is_private(str(name.value)):
            yield ast.unparse(node)


def _of_a_library(name: str) -> bool:
    return name.split(".")[0] in LIBRARIES and is_private(name)


@pytest.mark.parametrize("file", [name for name in FILES if name not in ALLOWED])
def test_no_private_name_of_another_module_is_used(file: str) -> None:
    assert list(private_names(ast.parse((ROOT / file).read_text()))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import ray._private.worker",
        "from optuna.study._optimize import run",
        "from optuna.storages import _heartbeat",
        "import torch._dynamo as dynamo",
        "study._storage",
        "tune_controller._tune_controller._actor_cache",
        "self.study._storage.get()",
        "open_study()._storage",
        "getattr(failure, '_base_exc', None)",
    ],
)
def test_private_use_is_found(line: str) -> None:
    assert list(private_names(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "import ray.train.torch",
        "from ray.tune import __version__",
        "from kdsearch.data import _own",
        "self._study.ask()",
        "class Own:\n    def make(cls): return cls._registry, Own._registry, super()._make()",
        "self.__dict__",
        "getattr(module, '__file__')",
    ],
)
def test_public_and_own_use_is_not(line: str) -> None:
    assert not list(private_names(ast.parse(line)))
