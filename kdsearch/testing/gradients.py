"""Whom a method's loss trains: the student and the method's helpers, never the teacher."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from kdsearch.testing.material import PROGRESS, Pair, tensors
from kdsearch.testing.subject import Subject, evaluate


class GradientTests(Subject):
    """Where the gradient of each loss part goes."""

    def test_gradient_reaches_the_student_through_every_part(self, pair: Pair) -> None:
        """Every part but those of the helpers trains the student at some time; none otherwise."""
        reached = self._reached(pair)
        helping = self.find().helper_parts
        for name, (student, _) in reached.items():
            if name in helping:
                assert not student, f"the helpers' part '{name}' trains the student too; detach it"
            else:
                assert student, f"no gradient of '{name}' reaches the student"
        assert set(reached) - helping, "no part trains the student"

    def test_gradient_reaches_every_helper(self, pair: Pair) -> None:
        """Every parameter of the method is trained at some time, by one part or another."""
        reached = self._reached(pair)
        trained = {name for _, helpers in reached.values() for name in helpers}
        learnable = {n for n, p in self.bench(pair).method.named_parameters() if p.requires_grad}
        assert trained == learnable, f"no gradient reaches {sorted(learnable - trained)}"

    def test_gradient_reaches_nothing_else(self, pair: Pair) -> None:
        """Neither the teacher nor a tensor that is no registered parameter gets a gradient."""
        bench = self.bench_with_loss(pair)
        for progress in PROGRESS:
            student, teacher = bench.signals(torch.float32, requires_grad=True)
            method = deepcopy(bench.method)
            parts = evaluate(method, student, teacher, progress)
            leaves = {id(leaf) for leaf in tensors(teacher)}
            known = {id(leaf) for leaf in (*tensors(student), *method.parameters())}
            for name, value in parts.items():
                found = {id(leaf) for leaf in _leaves(value)}
                assert not found & leaves, f"'{name}' sends gradient to the teacher; detach it"
                assert found <= known, (
                    f"'{name}' trains a tensor that is not registered; make it an nn.Parameter"
                )

    def _reached(self, pair: Pair) -> dict[str, tuple[bool, set[str]]]:
        """For each part: whether the student is trained at some time, and which helpers are."""
        bench = self.bench_with_loss(pair)
        reached: dict[str, tuple[bool, set[str]]] = {}
        for progress in PROGRESS:
            student, _ = bench.signals(torch.float32, requires_grad=True)
            _, teacher = bench.signals(torch.float32)
            method = deepcopy(bench.method)
            for name, value in evaluate(method, student, teacher, progress).items():
                assert value.shape == (), f"'{name}' is {list(value.shape)}, not a scalar"
                before, helpers = reached.get(name, (False, set()))
                now = any(_gradients(value, tensors(student)))
                reached[name] = before or now, helpers | _trained(value, method)
        return reached


def _trained(value: Tensor, method: nn.Module) -> set[str]:
    named = {name: p for name, p in method.named_parameters() if p.requires_grad}
    return {n for n, hit in zip(named, _gradients(value, list(named.values())), strict=True) if hit}


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[bool]:
    """Whether each leaf gets a gradient other than zero."""
    if not value.requires_grad or not leaves:
        return [False] * len(leaves)
    found = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
    return [gradient is not None and bool(gradient.any()) for gradient in found]


def _leaves(value: Tensor) -> list[Tensor]:
    """Every tensor that the gradient of ``value`` is added up in."""
    found, seen, waiting = [], set(), [value.grad_fn]
    if value.grad_fn is None and value.requires_grad:
        found.append(value)
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)  # that of an AccumulateGrad node
        if leaf is not None:
            found.append(leaf)
        waiting.extend(before for before, _ in node.next_functions)
    return found
