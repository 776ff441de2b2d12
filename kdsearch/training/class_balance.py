"""What evens the classes out in a training: their weights, and how samples are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kdsearch.data import Split, balanced_order, derive, epoch_order
from kdsearch.data.split import strata
from kdsearch.errors import DataError
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.problems import Head, Problem
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.spec.names import suggest
from kdsearch.training.batch_shares import streams_of


def unknown_class(training: TrainingConfig, classes: Sequence[str]) -> str | None:
    """The first class that ``class_weights`` names and the data do not have."""
    given = training.class_weights
    names = given if isinstance(given, Mapping) else ()
    return next((name for name in names if name not in classes), None)


def no_such_class(name: str, classes: Sequence[str]) -> str:
    """What is wrong with the name of a class, and what to do."""
    return f"class_weights: the data have no class '{name}'; {suggest(name, classes)}"


def class_weights(
    training: TrainingConfig, labels: Tensor, classes: Sequence[str]
) -> Tensor | None:
    """The weights of the classes in the cross-entropy: float32 [K] on the labels' device.

    ``balanced`` is n / (K · n_k), after King & Zeng 2001, "Logistic Regression in Rare Events
    Data", as scikit-learn's ``compute_class_weight`` has it, over the classes that have samples;
    one without any has 1.

    Args:
        training: Says which weights.
        labels: [N] class indices of the training split.
        classes: Name of each class.

    Returns:
        The weights, or ``None`` where all classes count alike.

    Raises:
        DataError: A class is named that is not there.
    """
    unknown = unknown_class(training, classes)
    if unknown is not None:
        raise DataError(no_such_class(unknown, classes))
    given = training.class_weights
    if isinstance(given, Mapping):
        return torch.tensor([given.get(name, 1.0) for name in classes], device=labels.device)
    if given == "none":
        return None
    counts = torch.bincount(labels, minlength=len(classes)).double()
    there = counts > 0
    even = counts.sum() / (there.sum() * counts.clamp(min=1))
    return torch.where(there, even, 1.0).float()


def of_task(training: TrainingConfig, head: Head) -> TrainingConfig:
    """The same with the weights of the classes of one task alone."""
    given = training.class_weights
    if head.kind != "class":
        return training.model_copy(update={"class_weights": "none"})
    if not isinstance(given, Mapping):
        return training
    own = {name: weight for name, weight in given.items() if name in head.names}
    return training.model_copy(update={"class_weights": own or "none"})


def task_loss(
    training: TrainingConfig, split: Split, problem: Problem, head: Head, weight: float = 1.0
) -> TaskLoss:
    """The loss of a task by the targets of the training split.

    Args:
        training: How it is trained.
        split: The training split.
        problem: All tasks.
        head: The task.
        weight: Of its loss among those of several tasks.
    """
    targets = split.targets[head.name]
    own = of_task(training, head)
    known = targets[head.known(targets)]
    weights = class_weights(own, known, head.names) if head.kind == "class" else None
    # 0 where all of the few samples of a short try have the weight 0
    mean = mean_weight(training, split, problem, head, weights) or 1.0
    return TaskLoss(head, weight, training.label_smoothing, weights, mean)


def mean_weight(
    training: TrainingConfig, split: Split, problem: Problem, head: Head, weights: Tensor | None
) -> float:
    """Mean weight, of its class times its own, of a sample as it is drawn.

    ``sampling``, ``unlabelled_ratio`` and ``target_ratio`` say how. A sample without a target has
    the weight 0.

    Args:
        training: Says how samples are drawn.
        split: The training split.
        problem: All tasks, of which the first of classes decides how samples are drawn.
        head: The task.
        weights: [K] of its classes, or ``None``.
    """
    targets = split.targets[head.name]
    known = head.known(targets)
    each = torch.ones(len(split), dtype=torch.float64, device=split.device)
    if weights is not None:
        each *= weights.to(each.device)[targets.clamp(min=0)]
    if split.weights is not None:
        each *= split.weights
    drawn = _how_often(training, drawn_by(split, problem), split.domain)
    return float((drawn * each * known).sum() / drawn.sum())


def _how_often(training: TrainingConfig, labels: Tensor, domain: Tensor | None) -> Tensor:
    """How often samples are drawn, up to a factor: float64 [N], by what decides how they are."""
    drawn = torch.ones(len(labels), dtype=torch.float64, device=labels.device)
    streams = streams_of(training, labels, domain)
    for own in [stream.own for stream in streams] or [torch.ones_like(labels, dtype=torch.bool)]:
        there = own & (labels != MISSING_CLASS)
        if training.sampling == "balanced" and bool(there.any()):
            counts = torch.bincount(labels[there]).double()
            drawn[there] = counts.sum() / (counts > 0).sum() / counts[labels[there]]
    for stream in streams:
        drawn[stream.own] *= stream.count / drawn[stream.own].sum()
    return drawn


def drawn_by(split: Split, problem: Problem) -> Tensor:
    """The class [N] by which each sample is drawn, -1 where a sample has no target at all."""
    labels, _ = strata(split, problem)
    return labels.where(problem.known(split.targets), MISSING_CLASS)


def sample_order(
    training: TrainingConfig, seed: int, epoch: int, labels: Tensor, count: int = 0
) -> Tensor:
    """The samples of an epoch in the order of its steps, as ``sampling`` says.

    Args:
        training: Says how samples are drawn.
        seed: Seed of the training.
        epoch: Which epoch.
        labels: [N] what :func:`drawn_by` says of the training split, on the CPU. Those with -1 are
            drawn once each, however ``sampling`` evens the others out.
        count: Samples that the epoch needs; where there are fewer, it goes through them again.

    Returns:
        As many samples as there are, once or several times.
    """
    passes = max(math.ceil(count / len(labels)), 1)
    seeds = (derive(seed, "pass", number) if number else seed for number in range(passes))
    return torch.cat([_once(training, each, epoch, labels) for each in seeds])


def _once(training: TrainingConfig, seed: int, epoch: int, labels: Tensor) -> Tensor:
    """An order of as many samples [N] as there are labels [N]."""
    order = epoch_order(seed, epoch, len(labels))
    if training.sampling == "balanced":
        there = labels != MISSING_CLASS
        drawn = balanced_order(seed, epoch, labels[there])
        order[there[order]] = there.nonzero().flatten()[drawn]
    return order
