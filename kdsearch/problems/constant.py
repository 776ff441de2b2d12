"""The answer that looks at no sample: the measure of losses that have no largest value."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kdsearch.problems.catalogue import find_metric
from kdsearch.problems.head import Head
from kdsearch.problems.metric import Metric, Predictions
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
    the loss of one answer to all samples: the classes' or labels' shares, or the better of the
    values' mean and median; 1 where it has no value of such an answer.

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
    answers = _constants(head, own[head.known(own)])
    losses = [_loss(metric, of) for of in answers]
    return min((loss for loss in losses if loss > 0 and math.isfinite(loss)), default=1.0)


def _loss(metric: Metric, of: Predictions) -> float:
    try:
        return metric.loss(float(metric(of)))
    except Exception:  # a user's own may have no value for answers that are all alike
        return math.nan


def _constants(head: Head, targets: Tensor) -> list[Predictions]:
    """Constant answers, compared with a teacher that is right and sure."""
    if head.kind == "value":
        middles = targets.mean(), targets.median()
        return [Predictions(each.repeat(len(targets)), targets, targets) for each in middles]
    if head.kind == "class":
        counts = torch.bincount(targets, minlength=head.size)
        logits = (counts / counts.sum()).clamp(min=1e-12).log()
        teacher = _SURE * torch.nn.functional.one_hot(targets, head.size).float()
    else:
        logits = targets.nanmean(dim=0).logit(eps=1e-6)
        teacher = _SURE * (2 * targets.nan_to_num() - 1)
    return [Predictions(logits.float().repeat(len(targets), 1), targets, teacher)]
