"""What a method's loss is at given signals: its inputs, its minimum, its mean."""

from __future__ import annotations

import inspect
import math
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.methods.base import read_of_teacher
from kdsearch.models import Signals
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.testing.material import (
    BATCH,
    PROGRESS,
    Pair,
    differing,
    only,
    random_signals,
    targets_of,
    tensors,
)
from kdsearch.testing.subject import Bench, Subject, skip

_FILLINGS = (0.0, 1e4, math.nan)
"""What may stand at padding."""
_READS_LABELS = "the loss depends on the labels; declare 'by_label'"
_FIRST, _SECOND = slice(0, BATCH // 2), slice(BATCH // 2, BATCH)


class LossTests(Subject):
    """The loss as a function of the two networks' signals."""

    def test_reads_exactly_the_declared_signals(self, pair: Pair) -> None:
        """Without the undeclared signals it works; without a declared one of the teacher's not."""
        bench = self.bench_with_loss(pair)
        cls, method = self.find(), bench.method
        declared = read_of_teacher(method)
        allowed = cls.signals | cls.teacher_signals
        assert method.signals | declared <= allowed, (
            "an instance reads more than its class declares"
        )
        student, teacher = bench.signals(torch.float32)
        student, teacher = only(student, method.signals), only(teacher, declared)
        error = _failure(bench, student, teacher)
        assert error is None, (
            f"the declared signals do not suffice ({error!r}); declare what it reads"
        )
        for signal in declared:
            lacking = only(teacher, declared - {signal})
            assert _failure(bench, student, lacking) is not None, (
                f"'{signal}' is declared but not read of the teacher; leave it out"
            )

    def test_reads_a_strong_view_only_if_it_says_so(self, pair: Pair) -> None:
        """With ``strong_view`` the loss depends on the student's strong views, else not."""
        bench = self.bench_with_loss(pair)
        shapes, strong = bench.student_shapes, bench.method.strong_view
        teacher = bench.signals(torch.float32)[1]
        one = random_signals(shapes, 1, torch.float32, strong=True)
        other = replace(one, strong=random_signals(shapes, 3, torch.float32))
        differ = any(
            differing(*(bench.parts(each, teacher, progress) for each in (one, other)))
            for progress in PROGRESS
        )
        assert not differ or strong, (
            "the loss depends on strongly augmented images; declare 'strong_view'"
        )
        assert differ or not strong, "'strong_view' is declared but none is read; leave it out"

    def test_identical_outputs_give_the_minimum(self, pair: Pair) -> None:
        """The loss of equal signals is the smallest; any others cost more."""
        twins = Pair(pair.name, pair.teacher, pair.teacher)
        bench = self.bench_with_loss(twins)
        bench.method.double().eval()
        with torch.no_grad():
            self.align(bench.method)
        read = bench.method.signals | bench.method.teacher_signals
        signals = only(random_signals(bench.teacher_shapes, 0), read)
        strong = bench.method.strong_view
        floor = self.minimum(bench.method, signals)
        if floor is None:
            skip(_reason(self))
        else:
            others = [
                random_signals(bench.student_shapes, seed, strong=strong) for seed in range(1, 6)
            ]
            times = bench.times()
            felt = [_costs_more(bench, signals, others, floor, progress) for progress in times]
            assert any(felt), "the loss is the same whatever the student says"

    def test_reads_labels_only_if_it_says_so(self, pair: Pair) -> None:
        """Without ``by_label`` no label counts, so that samples may have none."""
        bench = self.bench_with_loss(pair)
        if bench.method.unlabelled:
            skip(f"{bench.method.name} tells by the labels which samples have none")
        if bench.method.by_label:
            skip(f"{bench.method.name} says that it reads labels")
        signals = bench.signals(torch.float32)
        without = replace(self.targets(), labels=torch.full((BATCH,), MISSING_CLASS))
        for progress in PROGRESS:
            parts = bench.parts(*signals, progress)
            torch.manual_seed(0)
            try:
                others = deepcopy(bench.method)(*signals, without, progress)
            except Exception as error:  # whatever an index of -1 does
                raise AssertionError(_READS_LABELS) from error
            assert not differing(parts, others), _READS_LABELS

    def test_reads_domains_if_and_only_if_it_says_so(self, pair: Pair) -> None:
        """Other domains of the samples change the loss with ``adapts``, and nothing without."""
        bench = self.bench_with_loss(pair)
        signals = bench.signals(torch.float32)
        changes = set()
        for progress in PROGRESS:
            parts = bench.parts(*signals, progress)
            torch.manual_seed(0)
            given = targets_of(unlabelled=bench.method.unlabelled)
            swapped = replace(given, domain=torch.arange(BATCH) < BATCH // 2)
            changes |= set(differing(parts, deepcopy(bench.method)(*signals, swapped, progress)))
        if bench.method.adapts:
            assert changes, "'adapts' is declared, but 'targets.domain' is not read; leave it out"
        else:
            assert not changes, "the loss depends on 'targets.domain'; declare 'adapts'"

    def test_padding_changes_nothing(self, pair: Pair) -> None:
        """Whatever stands where a sequence is padding, loss and gradient are the same."""
        bench = self.bench_with_loss(pair)
        if bench.signals()[0].mask is None:
            skip("these networks have no padding")
        bench.method.double().eval()
        for progress in bench.times():
            clean, *others = (_answer(bench, filling, progress) for filling in _FILLINGS)
            for other in others:
                assert all(torch.equal(a, b) for a, b in zip(clean, other, strict=True)), (
                    "what stands at padding changes the loss or its gradient; take means over the "
                    "real positions (kdsearch.methods.sequences)"
                )

    def test_is_a_mean_over_the_batch(self, pair: Pair) -> None:
        """A batch's loss is the mean of its halves', so no weight depends on the batch size."""
        bench = self.bench_with_loss(pair)
        if bench.method.batchwise or bench.method.by_sample:
            skip(f"{bench.method.name} compares samples with each other or remembers them")
        bench.method.double().eval()
        student, teacher = bench.signals()
        for progress in bench.times():
            whole = bench.parts(student, teacher, progress)
            first, second = (
                bench.parts(_some(student, half), _some(teacher, half), progress, half)
                for half in (_FIRST, _SECOND)
            )
            for name, value in whole.items():
                mean = (first[name] + second[name]) / 2
                assert torch.allclose(value, mean, rtol=1e-9, atol=1e-12), (
                    f"'{name}' is {value:g} for a batch but {mean:g} as the mean of its halves; "
                    "take the mean over the batch, or declare 'batchwise'"
                )


def _answer(bench: Bench, filling: float, progress: float) -> list[Tensor]:
    """Loss and gradients, student's signals and helpers alike, with some value at all padding."""
    student, teacher = bench.signals(requires_grad=True)
    given = [_filled(signals, filling) for signals in (student, teacher)]
    total = torch.stack(list(bench.parts(given[0], given[1], progress).values())).sum()
    leaves = [*tensors(student), *(p for p in bench.method.parameters() if p.requires_grad)]
    if not total.requires_grad:
        return [total]
    return [total, *torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)]


def _filled(signals: Signals, filling: float) -> Signals:
    """The signals with a value in all that belongs to padding."""
    assert signals.mask is not None
    padding = ~signals.mask
    pairs = padding[:, None, :, None] | padding[:, None, None, :]

    def at_positions(values: Tensor) -> Tensor:
        return values.masked_fill(padding[..., None], filling) if values.ndim == 3 else values

    return replace(
        signals,
        features=tuple(map(at_positions, signals.features)),
        preactivation=tuple(map(at_positions, signals.preactivation)),
        self_attention=tuple(each.masked_fill(pairs, filling) for each in signals.self_attention),
    )


def _some(signals: Signals, samples: slice) -> Signals:
    return signals.changed(lambda values: values[samples])


def _failure(bench: Bench, student: Signals, teacher: Signals) -> Exception | None:
    """What the method raises at these signals at some time, if anything."""
    for progress in PROGRESS:
        try:
            bench.parts(student, teacher, progress)
        except Exception as error:  # whatever a method does where a signal is absent
            return error
    return None


def _reason(subject: Subject) -> str:
    """Why there is no minimum, in the words of the override."""
    said = inspect.getdoc(subject.minimum)  # the inherited one, where the override has none
    assert said, "'minimum' returns None; say in its docstring why the formula has none"
    assert said != inspect.getdoc(Subject.minimum), (
        "'minimum' returns None; say in its docstring why the formula has none"
    )
    return said.splitlines()[0]


def _costs_more(
    bench: Bench, signals: Signals, others: list[Signals], floor: float, progress: float
) -> bool:
    """Check the minimum at one time; whether the loss depends on the student then."""
    alike = replace(signals, strong=signals) if bench.method.strong_view else signals
    same, *costs = (
        float(bench.loss(bench.parts(given, signals, progress)).detach())
        for given in (alike, *others)
    )
    if all(cost == same for cost in costs):
        return False
    assert abs(same - floor) <= 1e-9 * max(1.0, abs(floor)), (
        f"identical outputs cost {same:g} instead of {floor:g}; set the helpers that stand between "
        "them in 'align', or tell the formula's own value in 'minimum'"
    )
    assert min(costs) > same, f"identical outputs cost {same:g}, but others {min(costs):g}"
    return True
