"""What evens the classes out in a training: their weights, and how samples are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kdsearch.data import Split, balanced_order, epoch_order
from kdsearch.errors import DataError
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.spec.names import suggest


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


def mean_weight(training: TrainingConfig, split: Split, weights: Tensor | None) -> float:
    """Mean weight, of its class times its own, of a sample as ``sampling`` draws it.

    Args:
        training: Says how samples are drawn.
        split: The training split.
        weights: [K] of the classes, or ``None``.
    """
    each = torch.ones(len(split), dtype=torch.float64, device=split.labels.device)
    if weights is not None:
        each *= weights.to(each.device)[split.labels]
    if split.weights is not None:
        each *= split.weights
    if training.sampling == "none":
        return float(each.mean())
    counts = torch.bincount(split.labels)
    there = counts > 0
    sums = torch.bincount(split.labels, weights=each)
    return float((sums[there] / counts[there]).mean())


def sample_order(training: TrainingConfig, seed: int, epoch: int, labels: Tensor) -> Tensor:
    """The samples [N] of an epoch in the order of its steps, as ``sampling`` says.

    Args:
        training: Says how samples are drawn.
        seed: Seed of the training.
        epoch: Which epoch.
        labels: [N] class indices of the training split, on the CPU.
    """
    if training.sampling == "balanced":
        return balanced_order(seed, epoch, labels)
    return epoch_order(seed, epoch, len(labels))
