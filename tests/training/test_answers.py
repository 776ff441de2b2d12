"""What answers tell of a network, on made-up answers whose fault is known."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from kdsearch.training.answers import (
    answer_warnings,
    chance_warning,
    constant_warning,
    output_form,
    permuted_warning,
)

CLASSES = ("ant", "bee", "cow", "dog", "elk")


def labels_of(count: int, classes: int = 5) -> Tensor:
    return torch.arange(count) % classes


def answering(answers: np.ndarray, classes: int = 5, margin: float = 4.0) -> Tensor:
    """Logits whose largest are the answers, with noise below the margin."""
    noise = np.random.default_rng(3).uniform(-1, 1, (len(answers), classes))
    return torch.from_numpy(noise + margin * np.eye(classes)[answers])


def test_right_answers_are_not_odd() -> None:
    labels = labels_of(100)
    assert answer_warnings("it", answering(labels.numpy()), labels, CLASSES) == []


@pytest.mark.parametrize("count", [20, 100, 1000])
def test_chance_is_where_guessing_would_be_as_good_in_one_of_a_hundred(count: int) -> None:
    labels = labels_of(count)
    right = np.arange(count + 1)
    probable = 1 - binom.cdf(right - 1, count, 0.2) >= 0.01
    told = [chance_warning("it", int(each), labels, 5) is not None for each in right]
    assert told == probable.tolist()


def test_guessing_the_largest_class_is_chance() -> None:
    labels = torch.cat([torch.zeros(90, dtype=torch.long), torch.ones(10, dtype=torch.long)])
    told = chance_warning("it", 91, labels, 2)
    assert told is not None
    assert "predicts 91.0% of 100 validation samples right" in told
    assert "guessing (90.0%)" in told
    assert chance_warning("it", 98, labels, 2) is None


@pytest.mark.parametrize(
    ("order", "pairs"),
    [
        ([1, 0, 2, 3, 4], ["'ant' as 'bee'", "'bee' as 'ant'"]),
        ([1, 2, 0, 3, 4], ["'ant' as 'bee'", "'bee' as 'cow'", "'cow' as 'ant'"]),
        ([4, 0, 1, 2, 3], ["'ant' as 'elk'", "'bee' as 'ant'", "'cow' as 'bee' and 2 more"]),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_classes_in_another_order_are_told_by_name(
    order: list[int], pairs: list[str], noise: float
) -> None:
    generator = np.random.default_rng(1)
    labels = labels_of(200)
    answers = np.array(order)[labels.numpy()]
    wrong = generator.random(200) < noise
    answers[wrong] = generator.integers(0, 5, wrong.sum())
    right, best = (np.mean(answers == np.array(o)[labels.numpy()]) for o in (range(5), order))
    (told,) = answer_warnings("it", answering(answers), labels, CLASSES)
    assert f"it predicts {', '.join(pairs)}, and {right:.1%} of" in told
    assert f"another order would have {best:.1%}" in told


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("count", "classes"), [(100, 2), (200, 10), (2000, 1000)])
def test_guesses_are_in_no_other_order(seed: int, count: int, classes: int) -> None:
    answers = np.random.default_rng(seed).integers(0, classes, count)
    names = [str(each) for each in range(classes)]
    labels = labels_of(count, classes)
    assert permuted_warning("it", answering(answers, classes), labels, names) is None


def test_two_classes_that_are_often_confused_are_in_no_other_order() -> None:
    labels, answers = labels_of(200), labels_of(200).numpy().copy()
    ants, bees = (np.flatnonzero(answers == each) for each in (0, 1))
    answers[ants[:21]], answers[bees[:21]] = 1, 0  # 21 of 40
    assert permuted_warning("it", answering(answers), labels, CLASSES) is None


def test_one_answer_to_nearly_all_images() -> None:
    labels, answers = labels_of(100), np.full(100, 2)
    answers[:4] = 1
    assert "predicts 'cow' for 96% of" in str(
        constant_warning("it", answering(answers), labels, CLASSES)
    )
    answers[:6] = 1
    assert constant_warning("it", answering(answers), labels, CLASSES) is None


def test_one_answer_is_right_where_one_class_has_nearly_all_images() -> None:
    labels = torch.full((100,), 2)
    labels[:8] = 1
    assert constant_warning("it", answering(np.full(100, 2)), labels, CLASSES) is None


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5])
def test_equal_outputs_for_all_images(value: float) -> None:
    logits = torch.linspace(0, value, 5).expand(60, 5)
    told = answer_warnings("it", logits, labels_of(60), CLASSES)
    assert "gives the same outputs for each of 60 samples" in told[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_outputs_that_are_no_logits(dtype: torch.dtype) -> None:
    z = np.random.default_rng(2).normal(0, 3, (50, 5))
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    forms = {
        "softmax": softmax,
        "log-softmax": np.log(softmax),
        "sigmoid": 1 / (1 + np.exp(-z)),
    }
    for name, values in forms.items():
        outputs = torch.from_numpy(values).to(dtype).double()
        assert re.search(rf"\(a {name}\)$", str(output_form(outputs))), name
    for logits in (z, np.abs(z), -np.abs(z), z - z.mean(axis=1, keepdims=True)):
        assert output_form(torch.from_numpy(logits).to(dtype).double()) is None
