"""``fixmatch`` and ``noisy_student`` against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor

from kdsearch.methods import METHODS, Objective, method_config, needs_teacher, reads_strong_view
from kdsearch.methods.fixmatch import fixmatch_loss
from kdsearch.methods.noisy_student import noisy_student_loss
from kdsearch.methods.targets import Targets
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.models import Signals, SignalShapes
from kdsearch.problems import Head

UNLABELLED = torch.arange(40) % 3 > 0


def drawn(seed: int, classes: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(40, classes, generator=generator, dtype=torch.float64)


def by_formula(
    strong: Tensor, answers: Tensor, confidence: float, hard: float, unlabelled: Tensor = UNLABELLED
) -> float:
    """Sample by sample, as both papers have it; FixMatch's labels are hard ones."""
    total, count = 0.0, 0
    for z, row, gone in zip(strong.numpy(), answers.numpy(), unlabelled.tolist(), strict=True):
        if gone:
            count += 1
            told = softmax(row)
            if told.max() >= confidence:
                label = (1 - hard) * told
                label[told.argmax()] += hard
                total -= (label * log_softmax(z)).sum()
    return total / max(count, 1)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.95, 1.0])
def test_fixmatch_is_that_of_the_formula(confidence: float) -> None:
    weak, strong = drawn(0), drawn(1)
    found = float(fixmatch_loss(weak, strong, UNLABELLED, confidence))
    expected = by_formula(strong, weak, confidence, 1.0)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (expected > 0) == (confidence < 1)


@pytest.mark.parametrize("hard", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("confidence", [0.0, 0.3, 0.8])
def test_noisy_student_is_that_of_the_formula(confidence: float, hard: float) -> None:
    strong, teacher = drawn(2), drawn(3)
    found = float(noisy_student_loss(strong, teacher, UNLABELLED, confidence, hard))
    expected = by_formula(strong, teacher, confidence, hard)
    assert found == pytest.approx(expected, rel=1e-12)
    assert expected > 0


def test_fixmatch_sends_gradient_through_the_strong_views_alone() -> None:
    """(softmax(z_s) − onehot(argmax z_w)) / n' of each strong view that counts, else 0."""
    weak, strong = drawn(4).requires_grad_(), drawn(5).requires_grad_()
    fixmatch_loss(weak, strong, UNLABELLED, 0.6).backward()
    assert weak.grad is None
    z_w, z_s = weak.detach().numpy(), strong.detach().numpy()
    expected = softmax(z_s, axis=1)
    expected[np.arange(40), z_w.argmax(axis=1)] -= 1
    counted = UNLABELLED.numpy() & (softmax(z_w, axis=1).max(axis=1) >= 0.6)
    assert 0 < counted.sum() < int(UNLABELLED.sum())
    expected *= counted[:, None] / int(UNLABELLED.sum())
    assert strong.grad is not None
    np.testing.assert_allclose(strong.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", ["fixmatch", "noisy_student"])
def test_without_unlabelled_samples_they_are_0(name: str) -> None:
    shapes = SignalShapes(classes=5, embedding=0, features=())
    method = METHODS[name](shapes, shapes, confidence=0.0)
    student = Signals(logits=drawn(6), strong=Signals(logits=drawn(7).requires_grad_()))
    parts = method(student, Signals(logits=drawn(8)), Targets(torch.zeros(40).long()), 1.0)
    (value,) = parts.values()
    value.backward()
    assert student.strong is not None
    assert student.strong.logits is not None
    assert student.strong.logits.grad is not None
    assert float(value.detach()) == 0
    assert not bool(student.strong.logits.grad.any())


def test_fixmatch_alone_is_a_baseline() -> None:
    labels = ("none", "fixmatch", "noisy_student", "kd+fixmatch", "pseudo_label", "kd")
    assert [needs_teacher(label) for label in labels] == [False, False, True, True, False, True]
    assert [reads_strong_view(label) for label in labels] == [False, True, True, True, False, False]


def test_with_several_tasks_each_has_the_strong_views_of_its_own_columns() -> None:
    heads = [
        Head("colour", names=("a", "b", "c"), named=True, gaps=True),
        Head("shape", names=("x", "y"), named=True, gaps=True, start=3),
    ]
    shapes = SignalShapes(classes=5, embedding=0, features=())
    config = method_config("fixmatch", {"confidence": 0.5, "weight": 2.0})
    objective = Objective(config, shapes, None, [TaskLoss(head) for head in heads])
    weak, strong = drawn(9), drawn(10)
    without = {"colour": UNLABELLED, "shape": torch.arange(40) % 4 > 0}
    targets = {
        name: Targets(torch.zeros(40, dtype=torch.long).where(~gone, -1))
        for name, gone in without.items()
    }
    student = Signals(logits=weak, strong=Signals(logits=strong))
    parts = objective(student, None, targets, 1.0)
    for name, columns in (("colour", slice(0, 3)), ("shape", slice(3, 5))):
        own = by_formula(strong[:, columns], weak[:, columns], 0.5, 1.0, without[name])
        assert own > 0
        assert float(parts[f"fixmatch/{name}"]) == pytest.approx(2 * own, rel=1e-9)
