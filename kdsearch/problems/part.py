"""What is left of a problem for a network that knows some of its tasks alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from kdsearch.problems.catalogue import MEAN
from kdsearch.problems.head import side_by_side
from kdsearch.problems.problem import Problem


def part_of(problem: Problem, names: Collection[str]) -> Problem:
    """The problem of some of the tasks.

    Metrics of other tasks go; where one task is left, metrics are named as with one task. An
    objective that goes gives way to the main metric of what is left.

    Args:
        problem: That of all tasks.
        names: Of tasks, one at least.
    """
    heads = side_by_side(head for head in problem.heads if head.name in names)
    if len(heads) == len(problem.heads):
        return problem
    part = Problem(heads=heads, few=problem.few)
    return replace(
        part,
        metrics=_left(part, problem.metrics),
        objective=next(iter(_left(part, [problem.objective])), part.objective),
        more=_left(part, problem.more),
    )


def _left(part: Problem, metrics: Collection[str]) -> tuple[str, ...]:
    """What those of the metrics that judge a task of the part are called there."""
    tasks, found = {head.name for head in part.heads}, []
    for name in metrics:
        task, _, alone = name.partition("/")
        if task in tasks:
            found.append(name if part.several else alone)
        elif name == MEAN.name and part.several:
            found.append(name)
    return tuple(found)
