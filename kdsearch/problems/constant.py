"""The answer that looks at no sample: the measure of losses that have no largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kdsearch.problems.catalogue import find_metric
from kdsearch.problems.head import Head
from kdsearch.problems.metric import Predictions
from kdsearch.problems.problem import Problem

_SURE = 60.0
"""A logit beside which others count for nothing."""


def constant_losses(problem: Problem, targets: Mapping[str, Tensor]) -> dict[str, float]:
    """The :func:`constant_loss` by each objective of a problem."""
    names = (problem.objective, *problem.more)
    return {name: constant_loss(problem, targets, name) for name in names}


def constant_loss(problem: Problem, targets: Mapping[str, Tensor], name: str = "") -> float:
    """The loss by an objective at which a student counts for nothing.

    1 for a share, or the mean of several. Of another metric, such as an error in the target's unit,
    the loss of the one answer that fits all samples best: the classes' or labels' shares, or the
    mean of the values.

    Args:
        problem: The tasks and the objective.
        targets: Those of the validation split, by task.
        name: The metric; absent, the problem's objective.
    """
    name = name or problem.objective
    metric = find_metric(name)
    if metric.share:
        return 1.0
    head = problem.head_of(name)
    own = targets[head.name].cpu()
    of = _constant(head, own[head.known(own)])
    loss = metric.loss(float(metric(of)))
    return loss if loss > 0 and math.isfinite(loss) else 1.0


def _constant(head: Head, targets: Tensor) -> Predictions:
    """The best constant answer, compared with a teacher that is right and sure."""
    if head.kind == "value":
        return Predictions(targets.mean().expand(len(targets)), targets, targets)
    if head.kind == "class":
        counts = torch.bincount(targets, minlength=head.size)
        logits = (counts / counts.sum()).clamp(min=1e-12).log()
        teacher = _SURE * torch.nn.functional.one_hot(targets, head.size).float()
    else:
        logits = targets.nanmean(dim=0).logit(eps=1e-6)
        teacher = _SURE * (2 * targets.nan_to_num() - 1)
    return Predictions(logits.float().expand(len(targets), head.size), targets, teacher)
