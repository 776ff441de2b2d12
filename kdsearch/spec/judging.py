"""``problem``: what is predicted, and how it is judged."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, field_validator, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.dimensions import PositiveDimension
from kdsearch.spec.values import each_once
from kdsearch.spec.wording import brief

TaskKind = Literal["class", "labels", "value"]
"""What is predicted: one class, labels, or a number."""


class TaskSection(Section):
    """A task: what kind of target it has, and how much it counts; a kind alone stands for it."""

    kind: TaskKind = "class"
    """``class``: one of several classes; ``labels``: any number of labels; ``value``: a number."""
    weight: PositiveDimension = 1.0
    """Weight of its loss where there are several tasks, or a range of it."""

    @model_validator(mode="before")
    @classmethod
    def _kind_alone(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given


class ProblemSection(Section):
    """``problem``: what is predicted, and how it is judged."""

    tasks: dict[str, TaskSection] = {}
    """The targets that the network learns, by the names that the data give them. A kind alone
    stands for the whole section: ``ink: value``. Without tasks, the first target is learnt: one
    class a sample."""
    weighting: Literal["fixed", "uncertainty"] = "fixed"
    """How the losses of several tasks are summed. ``fixed``: by the ``weight`` of each.
    ``uncertainty``: by weights that are learnt with the student (Kendall et al. 2018)."""
    metrics: Annotated[tuple[str, ...], AfterValidator(each_once("metric"))] = ()
    """Metrics beside the usual ones: their names, or ``module:name`` of a
    ``kdsearch.problems.Metric`` of your own. With several tasks: ``TASK/METRIC``."""

    @property
    def kinds(self) -> frozenset[TaskKind]:
        """The kinds of the tasks; where none is named, of one class a sample."""
        return frozenset(task.kind for task in self.tasks.values()) or frozenset({"class"})

    @field_validator("tasks")
    @classmethod
    def _names(cls, tasks: dict[str, TaskSection]) -> dict[str, TaskSection]:
        for name in tasks:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or name == "mean":
                raise ValueError(
                    f"'{brief(name)}' cannot name a task; use letters, digits, '_', '-', a letter "
                    "first, and another word than mean"
                )
        return tasks

    @model_validator(mode="after")
    def _weighted(self) -> ProblemSection:
        if len(self.tasks) < 2:
            if self.weighting != "fixed":
                raise ValueError("weighting is for several tasks; remove it")
            for name, task in self.tasks.items():
                if task.weight != 1.0:
                    raise ValueError(f"the one task {name} needs no weight; remove it")
        elif self.weighting == "uncertainty":
            for name, task in self.tasks.items():
                if task.weight != 1.0:
                    raise ValueError(
                        f"weighting is uncertainty, which learns the weight of {name}; remove one"
                    )
        return self
