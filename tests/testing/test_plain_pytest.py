"""The suite as a user runs it: a class in a test file, under plain pytest."""

from __future__ import annotations

import inspect

import pytest

from kdsearch.testing import MethodConformance

pytest_plugins = ["pytester"]

TEST_NAMES = [name for name in dir(MethodConformance) if name.startswith("test_")]

MINE = '''
import torch.nn.functional as F
from kdsearch.methods import Hyperparameter, Method
from kdsearch.methods.inputs import logits
from kdsearch.models import Signal
from kdsearch.spec.ranges import Range

class Mine(Method):
    """Mean squared distance of the logits."""
    name = "mine"
    kind = "logit"
    paper = "our own"
    signals = frozenset({Signal.LOGITS})
    hyperparameters = {"weight": Hyperparameter(1.0, Range(low=0.1, high=20, log=True), "weight")}

    def forward(self, student, teacher, targets, progress):
        return {"mine": F.mse_loss(*logits(student, teacher))}

class Summed(Mine):
    def forward(self, student, teacher, targets, progress):
        return {"mine": F.mse_loss(*logits(student, teacher), reduction="sum")}
'''

TESTS = """
from kdsearch.testing import PAIRS, MethodConformance
from plain_mine import Mine, Summed

class TestMine(MethodConformance):
    method = Mine
    pairs = PAIRS[:2]

class TestByReference(MethodConformance):
    method = "plain_mine:Mine"
    pairs = PAIRS[:1]

class TestByName(MethodConformance):
    method = "mse_logits"
    hyperparameters = {"weight": 3.0}
    pairs = PAIRS[:1]

class TestSummed(MethodConformance):
    method = Summed
    pairs = PAIRS[:1]
"""


def test_each_class_runs_every_test_and_the_wrong_one_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(pytester.path)
    pytester.makepyfile(plain_mine=MINE, test_mine=TESTS)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rfs")
    # 5 times a class on a pair; the tests without a pair once a class
    runs = sum(5 if takes_a_pair(name) else 4 for name in TEST_NAMES)
    # of preparing a student, of no loss and of padding on each pair, of sequences once a class
    skipped = 5 + 5 + 5 + 4
    result.assert_outcomes(passed=runs - 1 - skipped, failed=1, skipped=skipped)
    said = result.stdout.str()
    assert "TestSummed::test_is_a_mean_over_the_batch[wider_teacher]" in said
    assert "take the mean over the batch, or declare 'batchwise'" in said
    assert "mine has a loss" in said


def takes_a_pair(name: str) -> bool:
    return "pair" in inspect.signature(getattr(MethodConformance, name)).parameters
