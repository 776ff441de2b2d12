"""Splits drawn class by class, as pure functions of labels, size and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.dataset import Split
from kdsearch.data.views.random_streams import random_bits
from kdsearch.errors import DataError
from kdsearch.problems import Problem


def draw_share(
    labels: Tensor, share: float, seed: int, classes: Sequence[str], keep: int = 1
) -> tuple[Tensor, Tensor]:
    """Set a share of the samples aside, class by class.

    The share of the whole is rounded once and handed to the classes by largest remainders, so that
    each class's own share is off by less than one sample, unless a bound below moves it. At least
    one sample of each class is drawn and at least ``keep`` are left.

    Args:
        labels: [N] class indices.
        share: Share to set aside, between 0 and 1.
        seed: Seed of the draw.
        classes: Name of each class.
        keep: Samples of each class that must be left.

    Returns:
        The indices that are left and those that are drawn, each ascending; together every index
        once.

    Raises:
        DataError: A class has fewer than ``keep + 1`` samples.
    """
    counts = _counts(labels, classes, needed=keep + 1)
    total = round(share * len(labels))
    drawn = _drawn(labels, _quotas(counts, total, least=1, most=counts - keep), seed)
    return torch.nonzero(~drawn).flatten(), torch.nonzero(drawn).flatten()


def strata(split: Split, problem: Problem) -> tuple[Tensor, tuple[str, ...]]:
    """What a split is drawn by: the class of each sample [N] in the first task of classes.

    Samples without one go with the largest class; without such a task all are of one. Those that
    have no target at all are the caller's to leave out.
    """
    if not problem.class_heads:
        return torch.zeros(len(split), dtype=torch.int64, device=split.device), ("all",)
    head = problem.class_heads[0]
    labels = split.targets[head.name]
    known = head.known(labels)
    if bool(known.all()):
        return labels, head.names
    largest = torch.bincount(labels[known], minlength=head.size).argmax()
    return torch.where(known, labels, largest), head.names


def present(labels: Tensor, classes: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """The classes that have samples, and the class of each sample [N] counted among these."""
    found, places = labels.unique(return_inverse=True)
    return places, tuple(classes[place] for place in found.tolist())


def draw_limit(labels: Tensor, limit: int, seed: int, classes: Sequence[str]) -> Tensor:
    """Indices of ``limit`` samples, ascending, drawn class by class; all when there are fewer.

    Every class keeps at least two samples: one to train and one to validate.

    Raises:
        DataError: A class has fewer than two samples, or the limit leaves it fewer.
    """
    counts = _counts(labels, classes, needed=2)
    if limit < 2 * len(classes):
        raise DataError(
            f"data.limit is {limit}; with {len(classes)} classes it must be at least "
            f"{2 * len(classes)}, two samples a class"
        )
    quotas = _quotas(counts, limit, least=2, most=counts)
    return torch.nonzero(_drawn(labels, quotas, seed)).flatten()


def draw_labels(labels: Tensor, count: int, seed: int, classes: Sequence[str]) -> Tensor:
    """Indices of ``count`` samples, ascending, drawn class by class, at least one of each.

    Args:
        labels: [N] class indices.
        count: At most N, at least the number of classes that have samples.
        seed: Seed of the draw.
        classes: Name of each class.

    Raises:
        DataError: There are fewer samples, or more classes.
    """
    counts = torch.bincount(labels, minlength=len(classes)).numpy()
    there = int((counts > 0).sum())
    if count > len(labels):
        raise DataError(
            f"data.labels is {count:,}, and {len(labels):,} training samples have a target; lower "
            "it, or leave it out"
        )
    if count < there:
        raise DataError(
            f"data.labels keeps {count} of {len(labels):,} targets; with {there} classes it must "
            f"keep at least {there}, one a class"
        )
    quotas = _quotas(counts, count, least=np.minimum(counts, 1), most=counts)
    return torch.nonzero(_drawn(labels, quotas, seed)).flatten()


def draw_any(size: int, count: int, seed: int) -> Tensor:
    """Indices of ``count`` of ``size`` samples, ascending; all when there are fewer."""
    return torch.nonzero(_drawn(torch.zeros(size).long(), np.array([count]), seed)).flatten()


def _counts(labels: Tensor, classes: Sequence[str], needed: int) -> np.ndarray:
    counts = torch.bincount(labels, minlength=len(classes)).numpy()
    smallest = int(counts.argmin())
    if counts[smallest] < needed:
        raise DataError(
            f"class '{classes[smallest]}' has {counts[smallest]} samples to split and needs "
            f"{needed}, one for each split; add samples or drop the class"
        )
    return counts


def _quotas(
    counts: np.ndarray, total: int, least: int | np.ndarray, most: np.ndarray
) -> np.ndarray:
    """Samples to draw of each class [K]: largest remainders within the bounds.

    The sum is ``total`` wherever the bounds allow it, else the nearest sum that they allow.
    """
    least = np.broadcast_to(np.asarray(least), counts.shape)
    total = min(max(total, int(least.sum())), int(most.sum()))
    ideal = total * counts / counts.sum()
    quotas = np.clip(np.floor(ideal).astype(np.int64), least, most)
    while quotas.sum() < total:
        quotas[np.argmax(np.where(quotas < most, ideal - quotas, -np.inf))] += 1
    while quotas.sum() > total:
        quotas[np.argmin(np.where(quotas > least, ideal - quotas, np.inf))] -= 1
    return quotas


def _drawn(labels: Tensor, quotas: np.ndarray, seed: int) -> Tensor:
    """Mask [N] of the samples that come first within their class in a random order."""
    order = torch.argsort(random_bits(seed, 0, torch.arange(len(labels)), draw=0), stable=True)
    order = order[torch.argsort(labels[order], stable=True)]
    counts = torch.bincount(labels, minlength=len(quotas))
    starts = counts.cumsum(0) - counts
    ordered = labels[order]
    rank = torch.arange(len(labels)) - starts[ordered]
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    drawn[order] = rank < torch.from_numpy(quotas)[ordered]
    return drawn
