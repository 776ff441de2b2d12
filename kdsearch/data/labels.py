"""Few of a training split's targets: the others are as if nobody knew them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.data.dataset import Split
from kdsearch.data.split import draw_labels, strata
from kdsearch.problems import Head, Problem
from kdsearch.problems.head import MISSING_CLASS


def keep_labels(train: Split, labels: float | None, seed: int, problem: Problem) -> Split:
    """A training split in which some samples alone keep their targets, those of all tasks.

    Args:
        train: The training split; samples that lack all targets already are not counted.
        labels: The share of the samples with a target that keep it, below 1; from 1 on how many
            do. ``None``: all.
        seed: Seed of the draw.
        problem: What is predicted; of its first task of classes each class keeps one at least.

    Raises:
        DataError: Fewer targets than classes, or more than there are.
    """
    if labels is None:
        return train
    able = problem.known(train.targets).nonzero().flatten()
    classes, names = strata(train, problem)
    count = round(labels * len(able)) if labels < 1 else int(labels)
    gone = torch.ones(len(train), dtype=torch.bool)
    gone[able[draw_labels(classes[able], count, seed, names)]] = False
    targets = {head.name: _without(head, train.targets[head.name], gone) for head in problem.heads}
    return replace(train, targets=targets)


def missing(head: Head, samples: int) -> Tensor:
    """The targets of samples that have none: [N] or [N, K]."""
    if head.kind == "class":
        return torch.full((samples,), MISSING_CLASS)
    shape = (samples, head.size) if head.kind == "labels" else (samples,)
    return torch.full(shape, torch.nan)


def _without(head: Head, targets: Tensor, gone: Tensor) -> Tensor:
    """Targets [N] or [N, K] without those of the samples that ``gone`` [N] marks."""
    found = targets.clone()
    found[gone] = missing(head, int(gone.sum()))
    return found
