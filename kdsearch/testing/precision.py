"""Whether a method's numbers hold: at extreme signals, and from signals of half precision."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.methods import Method
from kdsearch.models import Signals
from kdsearch.spec.ranges import every
from kdsearch.testing.material import Pair, as_leaves, tensors
from kdsearch.testing.subject import Bench, Subject, evaluate

_LARGE = 1e4
_HALVES = (torch.bfloat16, torch.float16)


class PrecisionTests(Subject):
    """The loss and its gradient in floating-point numbers."""

    def test_is_finite_at_extremes(self, pair: Pair) -> None:
        """Loss and gradient are finite at logit gaps and maps of 1e4, and where all is zero."""
        bench = self.bench_with_loss(pair, _lowest_temperature(self.find()))
        times = bench.times()
        for dtype in (torch.float32, *_HALVES):
            method = deepcopy(bench.method)  # what it remembers of one extreme meets the next
            for what, student, teacher in _extremes(bench, dtype):
                for progress in times:
                    wrong = _not_finite(method, student, teacher, progress)
                    assert not wrong, f"{wrong} is not finite for {what} in {dtype}"

    def test_half_precision_is_computed_in_float32(self, pair: Pair) -> None:
        """From bfloat16 and float16 signals the loss is what float64 makes of the same numbers."""
        bench = self.bench_with_loss(pair)
        bench.method.eval()
        exact = replace(bench, method=deepcopy(bench.method).double())
        for dtype in _HALVES:
            student, teacher = bench.signals(dtype)
            wide = [as_leaves(given, 1.0, torch.float64) for given in (student, teacher)]
            for progress in bench.times():
                expected = exact.parts(wide[0], wide[1], progress)
                for name, value in bench.parts(student, teacher, progress).items():
                    _check_near(name, value.detach(), expected[name].detach(), dtype)


def _check_near(name: str, value: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert value.dtype == torch.float32, f"'{name}' is {value.dtype} for {dtype} signals"
    error = (value.double() - expected).abs()
    assert error <= 1e-3 * expected.abs() + 1e-7, (
        f"'{name}' is {value:g} instead of {expected:g} for {dtype} signals; compute it in float32 "
        "(kdsearch.methods.inputs)"
    )


def _lowest_temperature(cls: type[Method]) -> dict[str, float]:
    """The temperature of the search range that widens gaps the most."""
    declared = cls.hyperparameters.get("temperature")
    if declared is None or declared.search is None:
        return {}
    return {"temperature": float(min(every(declared.search)))}


def _extremes(bench: Bench, dtype: torch.dtype) -> Iterator[tuple[str, Signals, Signals]]:
    """What it is, the student's signals, and the teacher's."""
    student, teacher = (_with_gaps(signals) for signals in bench.signals())
    same = replace(teacher, logits=student.logits)
    opposite = replace(teacher, logits=_negative(student.logits))
    for what, signals, of_student, of_teacher in (
        ("gaps of 1e4", teacher, _LARGE, _LARGE),
        ("equal logits with gaps of 1e4", same, _LARGE, _LARGE),
        ("opposite logits with gaps of 1e4", opposite, _LARGE, _LARGE),
        ("a teacher of 1e4", teacher, 1.0, _LARGE),
        ("a student of 1e4", teacher, _LARGE, 1.0),
        ("a student of zeros", teacher, 0.0, 1.0),
        ("a teacher of zeros", teacher, 1.0, 0.0),
        ("zeros alone", teacher, 0.0, 0.0),
    ):
        given = as_leaves(student, of_student, dtype, requires_grad=True)
        yield what, given, as_leaves(signals, of_teacher, dtype)


def _with_gaps(signals: Signals) -> Signals:
    """Signals whose logits are 1 and −1."""
    logits, strong = signals.logits, signals.strong
    return replace(
        signals,
        logits=None if logits is None else logits.sign(),
        strong=None if strong is None else _with_gaps(strong),
    )


def _negative(values: Tensor | None) -> Tensor | None:
    return None if values is None else -values


def _not_finite(method: Method, student: Signals, teacher: Signals, progress: float) -> str:
    """What is not finite, a part or a gradient; nothing where all are."""
    parts = evaluate(method, student, teacher, progress)
    for name, value in parts.items():
        if not torch.isfinite(value):
            return f"'{name}' ({value.detach():g})"
    total = torch.stack(list(parts.values())).sum()
    leaves = [*tensors(student), *(p for p in method.parameters() if p.requires_grad)]
    if not total.requires_grad:
        return ""
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    broken = [g for g in found if g is not None and not _fits(g)]
    return "a gradient" if broken else ""


def _fits(gradient: Tensor) -> bool:
    """Whether a gradient is finite; in float16 it may be beyond what the type can tell."""
    if gradient.dtype == torch.float16:
        return not bool(gradient.isnan().any())
    return bool(gradient.isfinite().all())
