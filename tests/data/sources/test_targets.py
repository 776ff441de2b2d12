"""Targets of a source of one's own: which become those of the tasks, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import RawData, Split, load_dataset
from kdsearch.data.feeds.transport import pack, unpack
from kdsearch.data.sources.raw import own_split, training_data
from kdsearch.data.split import strata
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.spec.sections import DataSection

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 9), dtype=np.uint8)
CLASS, LABELS, VALUE = (
    Head(name, kind, named=True)
    for name, kind in (("kind", "class"), ("tags", "labels"), ("age", "value"))
)
TARGETS: dict[str, Any] = {
    "kind": [0, 1, -1, 1, 0, 1],
    "tags": [[0, 1], [1, 1], [0, 0], [np.nan, 1], [1, 0], [0, 1]],
    "age": [1.0, 2.5, np.nan, 4.0, 0.5, -1.0],
}


def read(targets: Any, *heads: Head, **rest: Any) -> Any:
    problem = Problem(heads=heads or (Head(),))
    return training_data(RawData(PIXELS, targets, **rest), "mine:load", problem)


def test_targets_by_name_become_those_of_the_tasks() -> None:
    train, problem = read(TARGETS, CLASS, LABELS, VALUE, classes={"tags": ("red", "big")})
    kinds = [(head.name, head.names, head.start) for head in problem.heads]
    assert kinds == [
        ("kind", ("0", "1"), 0),
        ("tags", ("red", "big"), 2),
        ("age", ("age",), 4),
    ]
    assert train.targets["kind"].tolist() == TARGETS["kind"]
    np.testing.assert_array_equal(train.targets["tags"].numpy(), TARGETS["tags"])
    np.testing.assert_array_equal(train.targets["age"].numpy(), TARGETS["age"])


def test_without_tasks_the_first_target_is_the_class() -> None:
    train, problem = read({"kind": [0, 1, 2, 0, 1, 2], "age": TARGETS["age"]})
    assert list(train.targets) == ["label"]
    assert problem.heads[0].names == ("0", "1", "2")


def test_without_tasks_the_first_target_is_taken_by_its_name() -> None:
    """Also where another split, or the names, have them in another order."""
    first, other = [0, 1, 2, 0, 1, 2], [1, 1, 0, 0, 1, 0]
    raw = RawData(
        PIXELS,
        {"kind": first, "tone": other},
        PIXELS,
        {"tone": other, "kind": first},
        classes={"tone": ("dark", "light"), "kind": ("a", "b", "c")},
    )
    train, problem = training_data(raw, "mine:load", Problem())
    test = own_split(raw, "test", train, "mine:load", problem)
    assert test is not None
    assert train.labels.tolist() == test.labels.tolist() == first
    assert problem.heads[0].names == ("a", "b", "c")
    without = RawData(PIXELS, {"kind": first}, PIXELS, {"tone": other})
    with pytest.raises(DataError, match="the test data have no target 'kind'"):
        training_data(without, "mine:load", Problem())


def test_a_few_samples_without_a_class_are_split_and_drawn_with_the_others() -> None:
    labels = torch.arange(60) % 3
    labels[7] = -1
    head = Head("kind", "class", tuple("abc"), named=True)
    split = Split(torch.zeros(60, 1, 8, 8, dtype=torch.uint8), {"kind": labels})
    drawn_by, names = strata(split, Problem(heads=(head,)))
    assert names == ("a", "b", "c")
    assert int((drawn_by != labels).sum()) == 1


def test_a_split_in_which_nothing_of_a_task_is_known_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rare.py").write_text(
        "import numpy as np\n"
        "from kdsearch.data import RawData\n"
        "def load():\n"
        "    ages = np.full(60, np.nan)\n"
        "    ages[3] = 1.5\n"
        "    images = np.zeros((60, 8, 8), np.uint8)\n"
        "    return RawData(images, {'label': np.arange(60) % 2, 'age': ages})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    problem = Problem(heads=(Head("label", "class", named=True), VALUE))
    with pytest.raises(DataError, match="no sample has a target of 'age'"):
        load_dataset(DataSection(source="rare:load"), problem)


def test_a_split_of_its_own_has_the_same_targets() -> None:
    raw = RawData(PIXELS, TARGETS, PIXELS[:2], {"age": [3.0, 4.0], "kind": [1, 0]})
    train, problem = training_data(raw, "mine:load", Problem(heads=(CLASS, VALUE)))
    test = own_split(raw, "test", train, "mine:load", problem)
    assert test is not None
    assert test.targets["age"].tolist() == [3.0, 4.0]
    problem = Problem(heads=(CLASS, LABELS))
    with pytest.raises(DataError, match="test data have no target 'tags'"):
        own_split(raw, "test", train, "mine:load", problem)


@pytest.mark.parametrize(
    ("targets", "heads", "message"),
    [
        (TARGETS, (Head("kinds"), VALUE), "has no target 'kinds'; did you mean 'kind'"),
        ([0, 1, 2, 0, 1, 2], (CLASS, VALUE), "gives one target and problem.tasks names 2"),
        ({}, (), "gave no targets"),
        ({"ink": TARGETS["age"]}, (), r"to learn a number, set problem.tasks to \{ink: value\}"),
        (np.zeros(0, dtype=int), (), "has the classes of no sample"),
        (TARGETS["age"], (), r"to learn a number, set problem.tasks to \{label: value\}"),
        (TARGETS["tags"], (), r"to learn several labels, set problem.tasks to \{label: labels\}"),
        (TARGETS["age"], (LABELS,), r"targets of 'tags' must be numbers \[N, K\]"),
        ([[0, 2]] * 6, (LABELS,), "must be 0 or 1, or NaN"),
        (TARGETS["tags"], (VALUE,), r"targets of 'age' must be numbers \[N\]"),
        ([1.0, np.inf, 0, 0, 0, 0], (VALUE,), "must be finite, or NaN"),
        ([0] * 6, (CLASS,), "has the classes 0; give at least two"),
    ],
)
def test_other_targets_are_refused(targets: Any, heads: tuple[Head, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(targets, *heads)


def test_digits_have_three_targets() -> None:
    heads = (Head("digit"), Head("parity"), Head("ink", "value"))
    data = load_dataset(DataSection(source="digits"), Problem(heads=heads))
    digit, ink = data.train.targets["digit"], data.train.targets["ink"]
    assert torch.equal(data.train.targets["parity"], digit % 2)
    assert data.problem.told == "digit (10 classes), parity (2 classes) and ink (a value)"
    blackness = data.train.images.double().mean(dim=(1, 2, 3)) / 255 * 100
    torch.testing.assert_close(ink.double(), blackness, atol=0.2, rtol=0)
    plain = load_dataset(DataSection(source="digits"))
    assert torch.equal(plain.train.labels, digit)
    assert plain.fingerprint != data.fingerprint


def test_every_target_travels() -> None:
    heads = (Head("digit"), Head("ink", "value"))
    data = load_dataset(DataSection(source="digits", limit=200), Problem(heads=heads))
    back = unpack(pack(data))
    assert back.problem == data.problem
    for name in ("train", "validation", "test"):
        one, other = getattr(data, name), getattr(back, name)
        assert one.targets.keys() == other.targets.keys()
        for task, targets in one.targets.items():
            assert torch.equal(targets, other.targets[task])
    assert back.fingerprint == data.fingerprint
