"""A source of the user's own, written beside the tests' current directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kdsearch.data import load_dataset
from kdsearch.errors import DataError
from kdsearch.models import of_images
from kdsearch.spec.sections import DataSection

BODY = """
import numpy as np
from kdsearch.data import RawData

answer = 42


def load(samples=40, own_test=False):
    images = np.arange(samples * 36).reshape(samples, 6, 6).astype(np.uint8)
    labels = np.arange(samples) % 2
    if own_test:
        return RawData(images, labels, images[:4], labels[:4], ["even", "odd"])
    return images, labels


def breaks():
    raise OSError("the disk is gone.")


def nothing():
    pass
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> str:
    """A module in the current directory; its name is the test's own, so none is imported twice."""
    name = "source_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    (tmp_path / f"{name}.py").write_text(BODY)
    monkeypatch.chdir(tmp_path)
    return name


def test_the_current_directory_is_searched_and_sys_path_restored(module: str) -> None:
    before = list(sys.path)
    dataset = load_dataset(DataSection(source=f"{module}:load", validation=0.25))
    assert sys.path == before
    assert dataset.name == f"{module}:load"
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [24, 8, 8]
    assert dataset.inputs == of_images((1, 6, 6))
    assert dataset.classes == ("0", "1")


def test_options_are_its_keyword_arguments(module: str) -> None:
    options = {"samples": 20, "own_test": True}
    dataset = load_dataset(DataSection(source=f"{module}:load", options=options))
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [18, 2, 4]
    assert dataset.classes == ("even", "odd")


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        ("lod", {}, "has no function 'lod'; did you mean 'load'"),
        ("answer", {}, "has no function 'answer'"),
        ("load", {"sample": 3}, r"cannot be called with data\.options .*'sample'"),
        ("breaks", {}, "failed with OSError: the disk is gone; fix it"),
        ("nothing", {}, "returned a NoneType"),
    ],
)
def test_refusals(module: str, function: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_dataset(DataSection(source=f"{module}:{function}", options=options))
    assert str(Path.cwd()) not in sys.path


@pytest.mark.parametrize("source", [":load", "module:", ":"])
def test_half_a_name_is_refused(source: str) -> None:
    with pytest.raises(DataError, match="is incomplete; write it as module:function"):
        load_dataset(DataSection(source=source))


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.part", "yaml.no_such_part"])
def test_an_absent_module_is_told_with_the_place(name: str) -> None:
    with pytest.raises(DataError, match=f"names the module '{name}', which is neither in"):
        load_dataset(DataSection(source=f"{name}:load"))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("import no_such_dependency", "failed with ModuleNotFoundError: .*no_such_dependency"),
        ("def load(:", "failed with SyntaxError"),
        ("1 / 0", "failed with ZeroDivisionError: division by zero; fix it"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_apart(
    module: str, body: str, sentence: str
) -> None:
    Path(f"{module}.py").write_text(body)
    with pytest.raises(DataError, match=f"importing {module} {sentence}"):
        load_dataset(DataSection(source=f"{module}:load"))
