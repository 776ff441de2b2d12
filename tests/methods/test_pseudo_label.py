"""``pseudo_label`` against its formula in NumPy, and as a training without any teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from kdsearch.data import Dataset
from kdsearch.methods import METHODS, Objective, method_config, needs_teacher
from kdsearch.methods.pseudo_label import pseudo_label_loss
from kdsearch.methods.targets import Targets
from kdsearch.models import Signals, SignalShapes
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

MakeTask = Callable[..., Task]
SHAPES = SignalShapes(classes=5, embedding=0, features=())


def drawn(seed: int = 0, samples: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(samples, 5, generator=generator, dtype=torch.float64)
    return logits, torch.arange(samples) % 3 > 0


def by_formula(logits: np.ndarray, unlabelled: np.ndarray, confidence: float) -> float:
    """Sample by sample, as the paper and the threshold have it."""
    total, count = 0.0, 0
    for row, gone in zip(logits, unlabelled, strict=True):
        if gone:
            count += 1
            if softmax(row).max() >= confidence:
                total -= log_softmax(row)[row.argmax()]
    return total / max(count, 1)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.8, 0.95, 1.0])
def test_the_loss_is_that_of_the_formula(confidence: float) -> None:
    logits, unlabelled = drawn()
    found = float(pseudo_label_loss(logits, unlabelled, confidence))
    expected = by_formula(logits.numpy(), unlabelled.numpy(), confidence)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_gradient_takes_the_decision_as_given() -> None:
    """(softmax(z) − onehot(argmax z)) / n' of each sample that counts, 0 of every other."""
    logits, unlabelled = drawn(1)
    logits.requires_grad_()
    pseudo_label_loss(logits, unlabelled, 0.6).backward()
    z = logits.detach().numpy()
    expected = softmax(z, axis=1)
    expected[np.arange(len(z)), z.argmax(axis=1)] -= 1
    counted = unlabelled.numpy() & (softmax(z, axis=1).max(axis=1) >= 0.6)
    assert 0 < counted.sum() < unlabelled.sum()
    expected *= counted[:, None] / int(unlabelled.sum())
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-10, atol=1e-14)


def test_without_unlabelled_samples_it_is_0() -> None:
    logits, _ = drawn()
    logits.requires_grad_()
    loss = pseudo_label_loss(logits, torch.zeros(40, dtype=torch.bool), 0.0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not bool(logits.grad.any())


def test_it_counts_samples_of_which_neither_image_has_a_class() -> None:
    labels, partner = torch.tensor([-1, -1, 2, 2]), torch.tensor([-1, 1, -1, 1])
    plain, blended = Targets(labels), Targets(labels, partner, torch.full((4,), 0.5))
    assert plain.without_class().tolist() == [True, True, False, False]
    assert blended.without_class().tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 0.0), (0.05, 0.0), (0.1, 0.0), (0.35, 1.5), (0.6, 3.0), (1, 3.0)]
)
def test_its_weight_rises_as_in_the_paper(progress: float, factor: float) -> None:
    method = METHODS["pseudo_label"](SHAPES, SHAPES)
    assert method.factor(progress) == pytest.approx(factor)


def test_the_objective_needs_no_teacher_and_reads_none() -> None:
    logits, unlabelled = drawn(2)
    labels = torch.arange(40).remainder(5).where(~unlabelled, -1)
    config = method_config("pseudo_label", {"weight": 2.0, "confidence": 0.5})
    objective = Objective(config, SHAPES, None)
    objective.losses[0].head = replace(objective.losses[0].head, gaps=True)
    assert objective.teacher_signals == frozenset()
    parts = objective(Signals(logits=logits), None, {"label": Targets(labels)}, 1.0)
    expected = by_formula(logits.numpy(), unlabelled.numpy(), 0.5)
    assert float(parts["pseudo_label"]) == pytest.approx(2 * expected, rel=1e-9)
    known = ~unlabelled.numpy()
    ce = -log_softmax(logits.numpy(), axis=1)[known, labels.numpy()[known]].sum() / 40
    assert float(parts["ce"]) == pytest.approx(ce, rel=1e-9)


def test_a_label_needs_a_teacher_if_a_term_does() -> None:
    labels = ("none", "pseudo_label", "kd", "kd+pseudo_label", "weight_copy")
    assert [needs_teacher(label) for label in labels] == [False, False, True, True, True]


def test_a_training_without_teacher_learns_from_every_sample(
    digits: Dataset, make_task: MakeTask
) -> None:
    (head,) = digits.problem.heads
    labels = digits.train.labels.where(torch.arange(240) < 60, -1)
    data = replace(
        digits,
        train=replace(digits.train, targets={"label": labels}),
        problem=digits.problem.with_heads([replace(head, gaps=True)]),
    )
    task = make_task("pseudo_label", {"start": 0.0, "ramp": 0.1}, epochs=2)
    other = data.train.images.clone()
    other[60:] = 255 - other[60:]
    changed = replace(data, train=replace(data.train, inputs={"image": other}))
    one, two = Trainer(task, data), Trainer(task, changed)
    seen = {int(place) for batch in one.begin_epoch() for place in batch.index}
    assert seen == set(range(240))
    for trainer in (one, two):
        assert all(np.isfinite(trainer.train_epoch().loss) for _ in range(2))
    first, second = one.student.state_dict(), two.student.state_dict()
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
