"""Chains of a ladder trained again: with the seeds of finalists, and as their baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kdsearch.results.record import TrialRecord
from kdsearch.spec.study import StudySpec
from kdsearch.training.lineage import parent_of
from kdsearch.training.recipe import Recipe
from kdsearch.training.task import Task


def lineage(trial: TrialRecord, searched: Mapping[str, TrialRecord]) -> list[Recipe]:
    """The recipes of the trials that a trial went on from, the widest first, and its own.

    Args:
        trial: A link of a chain.
        searched: The trials of the search by the key of their task.
    """
    found = [trial]
    while (parent := found[-1].task.parent) is not None:
        found.append(searched[parent.key])
    return [Recipe.of(each.task) for each in reversed(found)]


def undistilled(line: Sequence[Recipe], tuned: Task) -> list[Recipe]:
    """The same chain of students without a teacher, as a baseline was tuned.

    Args:
        line: Of the member.
        tuned: The training of its baseline.
    """
    baseline = Recipe.of(tuned)
    found = []
    for each in line:
        alike = baseline.lasting(each.training.epochs, each.training)
        found.append(replace(alike, model=each.undistilled().model))
    return found


def chained(spec: StudySpec, line: Sequence[Recipe], replicate: int) -> list[Task]:
    """The trainings of a chain with one seed, each going on from the one before.

    Args:
        spec: The study.
        line: The recipes, the widest student's first.
        replicate: As :meth:`Recipe.task`.
    """
    tasks: list[Task] = []
    for recipe in line:
        task = recipe.task(spec, replicate)
        if tasks:
            task = task.model_copy(update={"parent": parent_of(tasks[-1])})
        tasks.append(task)
    return tasks
