"""``coral``, ``mmd`` and ``dann`` against NumPy, brute force and a gradient reversed by hand."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.methods import METHODS, Objective, is_baseline, method_config, needs_teacher
from kdsearch.methods.coral import coral_loss
from kdsearch.methods.dann import domain_loss, reversal
from kdsearch.methods.mmd import mmd_loss
from kdsearch.methods.targets import Targets
from kdsearch.models import Signal, Signals, SignalShapes, build_network, of_images
from kdsearch.spec.concrete import ModelConfig

BATCHES = [(2, 2, 1), (5, 3, 4), (3, 9, 6), (12, 8, 16)]
"""Samples of the source, of the target, and values of an embedding."""


def drawn(
    source: int, target: int, length: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of either domain, and which places of a batch are the target's."""
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(source, length))
    t = rng.normal(0.5, 2.0, size=(target, length)) ** 3
    return s, t, rng.permutation(np.arange(source + target) >= source)


def batch(s: np.ndarray, t: np.ndarray, of_target: np.ndarray) -> tuple[Tensor, Tensor]:
    """Both in one batch, in the order of its places."""
    whole = np.empty((len(of_target), s.shape[1]))
    whole[~of_target], whole[of_target] = s, t
    return torch.tensor(whole), torch.tensor(of_target)


def coral_by_numpy(s: np.ndarray, t: np.ndarray) -> float:
    c_s, c_t = (np.atleast_2d(np.cov(each, rowvar=False, ddof=1)) for each in (s, t))
    return np.linalg.norm(c_s - c_t, "fro") ** 2 / (4 * s.shape[1] ** 2)


def mmd_by_brute_force(s: np.ndarray, t: np.ndarray) -> float:
    """Pair by pair, with each kernel in turn."""
    everybody = np.concatenate([s, t])
    pairs = [(x, y) for i, x in enumerate(everybody) for j, y in enumerate(everybody) if i != j]
    mean = np.mean([np.sum((x - y) ** 2) for x, y in pairs])

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        widths = [mean / 4, mean / 2, mean, 2 * mean, 4 * mean]
        return np.mean([np.exp(-np.sum((x - y) ** 2) / width) for width in widths])

    def among(a: np.ndarray, b: np.ndarray) -> float:
        return np.mean([kernel(x, y) for x, y in product(a, b)])

    return among(s, s) + among(t, t) - 2 * among(s, t)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("sizes", BATCHES)
@pytest.mark.parametrize(
    ("loss", "reference"), [(coral_loss, coral_by_numpy), (mmd_loss, mmd_by_brute_force)]
)
def test_is_the_papers_formula(
    loss: Any, reference: Any, sizes: tuple[int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    s, t, of_target = drawn(*sizes)
    embeddings, target = batch(s, t, of_target)
    found = float(loss(embeddings.to(dtype), target))
    assert found == pytest.approx(reference(s, t), rel=tolerance, abs=tolerance * 1e-3)


def test_corals_gradient_is_that_of_its_formula() -> None:
    """(C_s − C_t) (x − mean_s) / (d² (n_s − 1)) of each source sample, the negative of a target's.

    Sun & Saenko 2016, equations 4 and 5.
    """
    s, t, of_target = drawn(6, 4, 3)
    embeddings, target = batch(s, t, of_target)
    embeddings.requires_grad_()
    coral_loss(embeddings, target).backward()
    difference = np.cov(s, rowvar=False) - np.cov(t, rowvar=False)
    expected = np.empty((10, 3))
    expected[~of_target] = (s - s.mean(axis=0)) @ difference / (9 * 5)
    expected[of_target] = -(t - t.mean(axis=0)) @ difference / (9 * 3)
    assert embeddings.grad is not None
    np.testing.assert_allclose(embeddings.grad.numpy(), expected, rtol=1e-9)


def test_mmds_gradient_takes_the_bandwidths_as_given() -> None:
    """By finite differences of the brute force, whose kernels stay those of the batch."""
    s, t, of_target = drawn(3, 4, 2)
    embeddings, target = batch(s, t, of_target)
    embeddings.requires_grad_()
    mmd_loss(embeddings, target).backward()
    values = embeddings.detach().numpy()
    differences = values[:, None] - values[None]
    mean = (differences**2).sum(axis=2).sum() / (7 * 6)
    weights = np.where(of_target, -1 / 4, 1 / 3)

    def fixed(x: np.ndarray) -> float:
        squared = ((x[:, None] - x[None]) ** 2).sum(axis=2)
        kernel = np.mean([np.exp(-squared / (mean * 2.0**u)) for u in range(-2, 3)], axis=0)
        return weights @ kernel @ weights

    expected = np.empty_like(values)
    for place in np.ndindex(values.shape):
        step = np.zeros_like(values)
        step[place] = 1e-6
        expected[place] = (fixed(values + step) - fixed(values - step)) / 2e-6
    assert embeddings.grad is not None
    np.testing.assert_allclose(embeddings.grad.numpy(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("loss", [coral_loss, mmd_loss])
def test_alike_domains_cost_nothing_and_others_more(loss: Any) -> None:
    s, t, _ = drawn(7, 7, 5)
    target = torch.arange(14) >= 7
    same = torch.tensor(np.concatenate([s, s[::-1].copy()]))
    assert float(loss(same, target)) == pytest.approx(0.0, abs=1e-12)
    assert float(loss(torch.tensor(np.concatenate([s, t])), target)) > 1e-3


@pytest.mark.parametrize(("loss", "least"), [(coral_loss, 2), (mmd_loss, 1)])
@pytest.mark.parametrize("there", [0, 1, 6])
def test_a_batch_with_too_few_of_a_domain_costs_nothing(loss: Any, least: int, there: int) -> None:
    torch.manual_seed(0)
    embeddings = torch.randn(6, 4, requires_grad=True)
    value = loss(embeddings, torch.arange(6) < there)
    value.backward()
    enough = min(there, 6 - there) >= least
    assert (float(value.detach()) > 0) == enough
    assert embeddings.grad is not None
    assert bool(embeddings.grad.isfinite().all())
    assert bool(embeddings.grad.any()) == enough


@pytest.mark.parametrize("sizes", BATCHES)
def test_the_domain_loss_counts_both_domains_alike(sizes: tuple[int, int, int]) -> None:
    s, t, of_target = drawn(*sizes)
    scores, target = batch(s[:, :1], t[:, :1], of_target)
    expected = np.mean(np.logaddexp(0, s[:, 0])) / 2 + np.mean(np.logaddexp(0, -t[:, 0])) / 2
    assert float(domain_loss(scores[:, 0], target)) == pytest.approx(expected, rel=1e-12)
    if len(s) == len(t):
        plain = F.binary_cross_entropy_with_logits(scores[:, 0], target.double())
        assert float(plain) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.5, 1.0])
def test_the_reversed_gradient_comes_in_as_in_the_paper(progress: float) -> None:
    assert reversal(progress) == pytest.approx(np.tanh(5 * progress), rel=1e-12)


class Reversed(torch.autograd.Function):
    """The layer of the paper: nothing on the way there, the gradient times −λ on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, by: float) -> Tensor:
        ctx.by = by
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.by * gradient, None


@pytest.mark.parametrize("progress", [0.05, 0.3, 1.0])
def test_danns_gradients_are_those_of_a_reversing_layer(
    student_shapes: SignalShapes, progress: float
) -> None:
    """The student's at a weight of 0.3, and the classifier's own, which no weight changes."""
    torch.manual_seed(1)
    config = method_config("dann", {"weight": 0.3, "width": 7})
    objective = Objective(config, student_shapes, None).double()
    (method,) = objective.methods
    s, t, of_target = drawn(4, 4, student_shapes.embedding)
    embeddings, target = batch(s, t, of_target)
    labels = torch.arange(8) % student_shapes.classes
    logits = torch.zeros(8, student_shapes.classes, dtype=torch.float64)
    one, other = (embeddings.clone().requires_grad_() for _ in range(2))
    targets = {"label": Targets(labels, domain=target)}
    objective(Signals(logits=logits, embedding=one), None, targets, progress)["loss"].backward()

    classifier = deepcopy(method.classifier)
    classifier.zero_grad()
    by = 0.3 * (2 / (1 + np.exp(-10 * progress)) - 1)
    scores = classifier(Reversed.apply(other, by))[:, 0]
    F.binary_cross_entropy_with_logits(scores, target.double()).backward()
    assert one.grad is not None
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-12, atol=1e-15)
    for found, expected in zip(
        method.classifier.parameters(), classifier.parameters(), strict=True
    ):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-12, atol=1e-15)


def test_the_classifier_learns_from_the_first_step_and_the_student_does_not(
    student_shapes: SignalShapes,
) -> None:
    torch.manual_seed(1)
    method = METHODS["dann"](student_shapes, student_shapes)
    embeddings = torch.randn(8, student_shapes.embedding, requires_grad=True)
    targets = Targets(torch.zeros(8).long(), domain=torch.arange(8) % 2 > 0)
    parts = method(Signals(embedding=embeddings), Signals(), targets, 0.0)
    torch.stack(list(parts.values())).sum().backward()
    assert embeddings.grad is not None
    assert not bool(embeddings.grad.any())
    assert all(bool(p.grad is not None and p.grad.any()) for p in method.parameters())


@pytest.mark.parametrize("name", ["coral", "mmd", "dann"])
def test_they_read_no_teacher(name: str, student_shapes: SignalShapes) -> None:
    """So they go with an average of teachers, which shows logits alone, in a sum too."""
    logits_alone = SignalShapes(classes=7, embedding=0, features=())
    assert METHODS[name].unfit(student_shapes, logits_alone) is None
    assert METHODS[name].unfit(logits_alone, student_shapes) is not None
    objective = Objective(method_config(f"kd+{name}", {}), student_shapes, logits_alone)
    assert objective.teacher_signals == {Signal.LOGITS}


def test_what_adapts_is_no_baseline() -> None:
    labels = ("none", "pseudo_label", "coral", "pseudo_label+mmd", "adabn", "kd", "kd+adabn")
    assert [is_baseline(label) for label in labels] == [True, True, *[False] * 5]
    assert [needs_teacher(label) for label in labels] == [*[False] * 5, True, True]
    two = [is_baseline(label, two_domains=True) for label in ("none", "pseudo_label", "fixmatch")]
    assert two == [True, False, False]


def test_adabn_fits_batch_normalisation_alone() -> None:
    with_it, without = (
        build_network(ModelConfig(family=family, width=0.25), of_images((1, 8, 8)), 3)
        for family in ("convnet", "mlp")
    )
    unfit = METHODS["adabn"].unfit
    assert unfit(with_it.signal_shapes(), without.signal_shapes()) is None
    assert "has none" in str(unfit(without.signal_shapes(), with_it.signal_shapes()))
