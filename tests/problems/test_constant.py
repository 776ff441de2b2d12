"""The worst loss that counts, against scikit-learn's dummies and by units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier, DummyRegressor

from kdsearch.problems import Head, Problem
from kdsearch.problems.constant import constant_loss
from kdsearch.problems.head import side_by_side
from kdsearch.results.front import hypervolume
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import method_ranking
from kdsearch.results.record import TrialRecord
from tests.records import trial

GENERATOR = np.random.default_rng(0)
CLASSES = GENERATOR.choice(3, size=200, p=[0.6, 0.3, 0.1])
TAGS = (GENERATOR.random((200, 2)) < [0.2, 0.7]).astype(np.float32)
VALUES = (50 + 9 * GENERATOR.normal(size=200)).astype(np.float32)
HEADS = side_by_side(
    [
        Head("kind", "class", tuple("abc")),
        Head("tags", "labels", ("red", "big")),
        Head("age", "value", ("age",), mean=40.0, std=8.0),
    ]
)
TARGETS = {
    "kind": torch.from_numpy(CLASSES),
    "tags": torch.from_numpy(TAGS),
    "age": torch.from_numpy(VALUES),
}


def dummy(objective: str) -> float:
    """The loss of scikit-learn's constant answer."""
    nothing = np.zeros((200, 1))
    shares = DummyClassifier(strategy="prior").fit(nothing, CLASSES).predict_proba(nothing)
    mean, median = (
        DummyRegressor(strategy=strategy).fit(nothing, VALUES).predict(nothing)
        for strategy in ("mean", "median")
    )
    return {
        "kind/nll": lambda: sk.log_loss(CLASSES, shares),
        "kind/kl": lambda: sk.log_loss(CLASSES, shares),
        "tags/multilabel_nll": lambda: np.mean(
            [sk.log_loss(TAGS[:, k], np.full(200, TAGS[:, k].mean())) for k in range(2)]
        ),
        "age/mae": lambda: sk.mean_absolute_error(VALUES, median),
        "age/rmse": lambda: sk.root_mean_squared_error(VALUES, mean),
        "age/teacher_mae": lambda: sk.mean_absolute_error(VALUES, median),
        "age/r2": lambda: 1.0,
        "kind/accuracy": lambda: 1.0,
        "mean": lambda: 1.0,
    }[objective]()


@pytest.mark.parametrize(
    "objective",
    [
        "kind/nll",
        "kind/kl",
        "tags/multilabel_nll",
        "age/mae",
        "age/rmse",
        "age/teacher_mae",
        "age/r2",
        "kind/accuracy",
        "mean",
    ],
)
def test_it_is_the_loss_of_the_constant_answer(objective: str) -> None:
    problem = Problem(objective=objective, heads=HEADS)
    assert constant_loss(problem, TARGETS) == pytest.approx(dummy(objective), rel=1e-5)


def test_values_that_never_differ_leave_it_at_one() -> None:
    problem = Problem(heads=(Head("age", "value", ("age",)),))
    assert constant_loss(problem, {"age": torch.full((9,), 3.0)}) == 1.0


def test_the_unit_of_an_error_does_not_matter() -> None:
    """Grams and kilograms: the same hypervolume, and the same ranking but for the best score."""
    found = []
    for scale in (1.0, 1000.0):
        problem = Problem(heads=(Head("age", "value", ("age",)),))
        worst = constant_loss(problem, {"age": TARGETS["age"] * scale})
        objectives = Objectives(score="mae", worst=worst)
        records = [
            with_mae(number, error * scale, size)
            for number, (error, size) in enumerate(((2.0, 30), (4.0, 10), (6.0, 5), (9.0, 2)))
        ]
        table = method_ranking(records, objectives, 100, 0)
        found.append((hypervolume(records, objectives, [100]), table["hypervolume"][0]))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert 0 < found[0][0] < 1


def with_mae(number: int, error: float, size: int) -> TrialRecord:
    record = trial(number, 0.5, size)
    last = {**record.epochs[-1], "mae": error}
    return record.model_copy(update={"epochs": (*record.epochs[:-1], last)})


def test_a_metric_without_a_value_of_constant_answers_leaves_it_at_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strict.py").write_text(
        "from statistics import correlation\n"
        "from kdsearch.problems import Metric\n"
        "def along(of):\n"
        "    return 1 - correlation(of.outputs.tolist(), of.targets.tolist())\n"
        "metric = Metric('along', along, better='lower', highest=None, unit='')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    problem = Problem(objective="strict:metric", heads=(Head("age", "value", ("age",)),))
    assert constant_loss(problem, {"age": TARGETS["age"]}) == 1.0
