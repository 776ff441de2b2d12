"""What float16 and the largest logits alone lose, against NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.models import Signal, Signals
from kdsearch.teacher_cache.encoding import StorageError, decode, encode
from kdsearch.teacher_cache.parts import facts_file
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import SHOWN, batch_of, build, cached, plan_of, tensors_of

MakeTeacher = Callable[[], Teacher]


def half_bound(values: np.ndarray) -> np.ndarray:
    """Half the distance of neighbouring float16 numbers, also among the subnormal ones."""
    return np.maximum(np.abs(values) * 2.0**-11, 2.0**-25)


@pytest.mark.parametrize("signal", SHOWN)
def test_float16_is_within_its_bound_and_the_error_that_is_noted_is_the_true_one(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, signal: Signal
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {signal}, dtype="float16", epochs=1, part=100)
    build(plan, teacher, digits)
    reader = cached(plan, teacher, digits)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    exact = [v.double().numpy() for v in tensors_of(teacher.observe(batch, {signal}), {signal})]
    kept = [v.double().numpy() for v in tensors_of(reader.observe(batch, {signal}), {signal})]
    for true, found in zip(exact, kept, strict=True):
        assert np.all(np.abs(true - found) <= half_bound(true))
    for part in plan.parts:
        rows = slice(plan.rows(part).start, plan.rows(part).stop)
        values = np.concatenate([v[rows].ravel() for v in exact])
        gaps = values - np.concatenate([v[rows].ravel() for v in kept])
        noted = noted_error(plan.file(signal, 0, part))
        assert noted["worst"] == pytest.approx(np.abs(gaps).max(), rel=1e-6)
        relative = np.sqrt((gaps**2).mean() / (values**2).mean())
        assert 0 < noted["relative"] == pytest.approx(relative, rel=1e-5)


def noted_error(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(facts_file(file).read_text())["error"]
    return found


def test_float32_is_noted_as_exact(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, epochs=1)
    build(plan, teacher, digits)
    for signal in SHOWN:
        noted = noted_error(plan.file(signal, 0, 0))
        assert set(noted.values()) == {0.0}


def answers_of(signal: Signal, value: float) -> Signals:
    """TeacherSignals to one image that hold a value."""
    row = torch.tensor([[1.0, value]])
    maps = torch.ones(1, 1, 1, 1), row.view(1, 2, 1, 1)
    values: dict[Signal, Any] = {
        Signal.LOGITS: row,
        Signal.EMBEDDING: row,
        Signal.ATTENTION: (row.view(1, 1, 2),),
    }
    return Signals(**{signal.value: values.get(signal, maps)})


@pytest.mark.parametrize("value", [70000.0, -1e30])
@pytest.mark.parametrize("signal", Signal)
def test_beyond_float16_is_one_sentence(signal: Signal, value: float) -> None:
    answers = answers_of(signal, value)
    encode(signal, answers, "float32", None)
    said = rf"teacher's {signal} values are beyond what float16 holds; set cache\.dtype to float32"
    with pytest.raises(TeacherError, match=said):
        encode(signal, answers, "float16", None)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("signal", Signal)
def test_a_teacher_that_is_not_finite_is_one_sentence(
    signal: Signal, dtype: Any, value: float
) -> None:
    with pytest.raises(
        TeacherError, match=rf"teacher's {signal} values are not finite; train it again"
    ):
        encode(signal, answers_of(signal, value), dtype, None)


def through(logits: Tensor, top_k: int, dtype: Any = "float32") -> Tensor:
    """The logits as they come back."""
    stored = encode(Signal.LOGITS, Signals(logits=logits), dtype, top_k)
    found = decode(Signal.LOGITS, stored, logits.shape[1]).logits
    assert found is not None
    return found


@pytest.mark.parametrize("top_k", [1, 3, 8, 9])
@pytest.mark.parametrize("scale", [0.1, 3.0, 50.0])
def test_the_largest_logits_keep_their_probabilities_and_the_others_their_sum(
    top_k: int, scale: float
) -> None:
    logits = scale * torch.randn(50, 10, generator=torch.Generator().manual_seed(3))
    exact, found = logits.double().numpy(), through(logits, top_k).double().numpy()
    order = np.argsort(-exact, axis=1)
    largest, others = order[:, :top_k], order[:, top_k:]
    assert np.array_equal(
        np.take_along_axis(exact, largest, 1), np.take_along_axis(found, largest, 1)
    )
    p, q = softmax(exact, axis=1), softmax(found, axis=1)
    np.testing.assert_allclose(
        np.take_along_axis(q, largest, 1), np.take_along_axis(p, largest, 1), rtol=2e-5
    )
    rest = np.take_along_axis(q, others, 1)
    np.testing.assert_allclose(rest.sum(1), np.take_along_axis(p, others, 1).sum(1), rtol=2e-5)
    np.testing.assert_allclose(rest, np.broadcast_to(rest[:, :1], rest.shape), rtol=1e-12)


@pytest.mark.parametrize("top_k", [10, 11, None])
def test_as_many_as_there_are_classes_loses_nothing(top_k: int | None) -> None:
    logits = torch.randn(20, 10)
    stored = encode(Signal.LOGITS, Signals(logits=logits), "float32", top_k)
    assert list(stored) == ["0"]
    assert torch.equal(stored["0"], logits)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_error_of_the_largest_logits_is_noted_over_all_batches(dtype: Any) -> None:
    logits = 2 * torch.randn(60, 10)
    error = StorageError(Signal.LOGITS, 10)
    for part in logits.split(25):
        stored = encode(Signal.LOGITS, Signals(logits=part), dtype, 3)
        error.add(Signals(logits=part), stored)
    exact, found = logits.double().numpy(), through(logits, 3, dtype).double().numpy()
    p, q = softmax(exact, axis=1), softmax(found, axis=1)
    noted = error.summary()
    assert noted["kl"] == pytest.approx((p * np.log(p / q)).sum(1).mean(), rel=1e-5)
    assert noted["worst"] == pytest.approx(np.abs(exact - found).max(), rel=1e-6)
    assert noted["relative"] == pytest.approx(
        np.linalg.norm(exact - found) / np.linalg.norm(exact), rel=1e-6
    )


def test_a_cache_of_the_largest_logits_answers_with_them(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, {Signal.LOGITS}, top_k=3, part=100)
    reader = cached(plan, teacher, digits)
    batch = batch_of(plan, digits, torch.randperm(240), 1)
    live = teacher.observe(batch, {Signal.LOGITS}).logits
    found = reader.observe(batch, {Signal.LOGITS}).logits
    assert live is not None
    assert found is not None
    assert torch.equal(found, through(live, 3))
    assert plan.bytes == 2 * 240 * (3 * 8 + 4)
