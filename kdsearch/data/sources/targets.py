"""Targets as a source has them, and how they become those of the study's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_array
from kdsearch.data.dataset import Split
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.problems.head import MISSING_CLASS, called, spread_of
from kdsearch.spec.names import suggest

Target = Tensor | np.ndarray | Sequence[Any]
"""Of each sample a class index from 0, or -1 where it is missing; labels [N, K] of 0 and 1, or a
number, NaN where missing."""

Targets = Target | Mapping[str, Target]
"""One target, or several by name."""

Names = Sequence[str] | Mapping[str, Sequence[str]]
"""Names of the classes, or of each target's classes or labels by the target's name."""


def chosen_heads(given: Targets, problem: Problem, where: str) -> tuple[Head, ...]:
    """The tasks of a problem, of which the source has the targets.

    Raises:
        DataError: It has no target of a task's name.
    """
    heads = problem.heads
    named = heads != (Head(),)
    if isinstance(given, Mapping):
        if not given:
            raise DataError(f"{where} gave no targets; give at least one")
        for head in heads if named else ():
            if head.name not in given:
                raise DataError(
                    f"{where} has no target '{head.name}'; {suggest(head.name, list(given))}, in "
                    "problem.tasks"
                )
    elif len(heads) > 1:
        raise DataError(
            f"{where} gives one target and problem.tasks names {len(heads)}; give them by name"
        )
    return heads


def target_of(given: Targets, head: Head, where: str) -> Target:
    """The target of a task.

    Raises:
        DataError: There is none of its name.
    """
    if not isinstance(given, Mapping):
        return given
    if head.name in given:
        return given[head.name]
    raise DataError(f"{where} have no target '{head.name}'; give it as the training data have it")


def read_target(given: Target, head: Head, where: str, key: str = "") -> Tensor:
    """The targets of a task.

    Args:
        given: As the source has them.
        head: The task.
        where: Which data they are of.
        key: What the source calls them, where the task has no name.

    Raises:
        DataError: Another kind of target than the task's.
    """
    name = key or head.name
    what = called(name)
    plain = given.cpu().numpy() if isinstance(given, Tensor) else given
    array = as_array(plain, f"{where}: {what}", "label")
    return _READERS[head.kind](array, name, f"{where}: {what}")


def _classes(array: np.ndarray, name: str, told: str) -> Tensor:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        other = ""
        if array.dtype.kind == "f" and array.ndim == 1:
            other = f"; or, to learn a number, set problem.tasks to {{{name}: value}}"
        elif array.ndim == 2:
            other = f"; or, to learn several labels, set problem.tasks to {{{name}: labels}}"
        raise DataError(
            f"{told} must be whole numbers [N], not {array.dtype} {list(array.shape)}; "
            f"give the class index of each image, -1 where it has none{other}"
        )
    return torch.from_numpy(array.astype(np.int64))


def _labels(array: np.ndarray, name: str, told: str) -> Tensor:
    if array.ndim != 2 or array.dtype.kind not in "iufb":
        raise DataError(
            f"{told} must be numbers [N, K], not {array.dtype} {list(array.shape)}; give 0 or 1 "
            "for each label of each image"
        )
    found = array.astype(np.float32)
    if not np.isin(found[~np.isnan(found)], (0.0, 1.0)).all():
        raise DataError(f"{told} must be 0 or 1, or NaN where it is not known; correct the others")
    return torch.from_numpy(found)


def _values(array: np.ndarray, name: str, told: str) -> Tensor:
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise DataError(
            f"{told} must be numbers [N], not {array.dtype} {list(array.shape)}; give one for each "
            "image"
        )
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    if np.isinf(found).any():
        raise DataError(f"{told} must be finite, or NaN where it is not known; correct the others")
    return torch.from_numpy(found)


_READERS = {"class": _classes, "labels": _labels, "value": _values}


def named(
    head: Head, names: Names | None, targets: Tensor, where: str, beside: Head | None = None
) -> Head:
    """A task with the names of its classes or labels, by the training targets.

    Args:
        head: The task.
        names: Those that the source gives.
        targets: The training targets.
        where: The source.
        beside: Of a target domain the task with the names that the source domain has.

    Raises:
        DataError: Names that are too few or not distinct.
    """
    if head.kind == "value":
        return replace(head, names=(head.name,))
    given = names.get(head.name) if isinstance(names, Mapping) else names
    if given is None:
        given = _unnamed(head, _count(head, targets), beside)
    found = tuple(str(name) for name in given)
    what = "classes" if head.kind == "class" else "labels"
    least = 2 if head.kind == "class" and beside is None else 1
    if len(found) < least or len(set(found)) < len(found):
        few = "at least two, each" if least == 2 else "each"
        raise DataError(
            f"{where} has the {what} {', '.join(found) or 'of no sample'}; give {few} with a name "
            "of its own"
        )
    return replace(head, names=found)


def _unnamed(head: Head, count: int, beside: Head | None) -> Sequence[str]:
    """The indices as names; those of the source domain, where these are not other numbers."""
    indices = tuple(map(str, range(count)))
    if beside is None or count > beside.size:
        return indices
    every = tuple(map(str, range(beside.size)))
    if beside.names != every and set(every) & set(beside.names):
        return indices
    return beside.names if head.kind == "class" else beside.names[:count]


def _count(head: Head, targets: Tensor) -> int:
    """How many classes or labels the targets tell apart."""
    if head.kind == "labels":
        return targets.shape[1]
    return int(targets.max()) + 1 if len(targets) else 0


def measured(train: Split, heads: Sequence[Head]) -> list[Head]:
    """The tasks with what the training targets tell: gaps, and the spread of values."""
    found = []
    for head in heads:
        targets = train.targets[head.name]
        missing = targets == MISSING_CLASS if head.kind == "class" else targets.isnan()
        mean, std = spread_of(targets) if head.kind == "value" else (0.0, 1.0)
        found.append(replace(head, gaps=bool(missing.any()), mean=mean, std=std))
    return found
