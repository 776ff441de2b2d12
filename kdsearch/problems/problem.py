"""What a study predicts, and by which metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kdsearch.errors import SpecError
from kdsearch.problems.catalogue import IN_MEAN, MEAN, METRICS, USUAL, find_metric
from kdsearch.problems.head import Head, outputs_of, side_by_side
from kdsearch.problems.metric import Metric, Predictions, deviation
from kdsearch.problems.scoring import check_bound, error_name, score_of
from kdsearch.spec.names import suggest
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec


@dataclass(frozen=True)
class Problem:
    """The tasks of a study; without a word of them, one class a sample.

    Attributes:
        metrics: Names of the metrics that were chosen beside the usual ones.
        objective: Name of the metric that a search weighs against size; absent, the main one.
        heads: The tasks, side by side in a network's output; their names come with the data.
        more: Names of further ones that it weighs.
        few: Whether scores that are no number are left out, as few samples have some.
    """

    metrics: tuple[str, ...] = ()
    objective: str = ""
    heads: tuple[Head, ...] = (Head(),)
    more: tuple[str, ...] = ()
    few: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", self.objective or self.main.name)

    @classmethod
    def of(cls, spec: StudySpec) -> Problem:
        """That of a study, with every metric that the study asks for.

        Raises:
            SpecError: A metric is not known, or judges no task of the study; the message gives its
                line.
        """
        given = spec.problem.tasks
        heads = tuple(Head(name, task.kind, named=True) for name, task in given.items())
        heads = heads or (Head(),)
        problem = cls(heads=heads)
        asked: dict[KeyPath, str] = {
            ("problem", "metrics", number): name for number, name in enumerate(spec.problem.metrics)
        }
        objectives = spec.search.objective or (problem.objective,)
        for place, name in enumerate(objectives):
            asked["search", "objective", *([place] if len(objectives) > 1 else [])] = name
        asked |= {("search", "require", name): name for name in spec.search.require}
        for path, name in asked.items():
            try:
                metric = problem.find(name)
            except SpecError as error:
                raise spec.refuse(path, str(error)) from None
            bound = spec.search.require.get(name)
            if path[:2] == ("search", "require") and bound is not None:
                check_bound(spec, path, metric, bound)
        chosen = tuple(dict.fromkeys(asked.values()))
        return cls(chosen, objectives[0], heads, objectives[1:])

    @classmethod
    def of_classes(cls, names: Iterable[str]) -> Problem:
        """One class a sample, of these names."""
        return cls(heads=(Head(names=tuple(names)),))

    def with_heads(self, heads: Iterable[Head]) -> Problem:
        """The same of tasks whose names are known."""
        return replace(self, heads=side_by_side(heads))

    @property
    def told(self) -> str:
        """The tasks for a person: ``10 classes``, or ``digit (10 classes) and ink (a value)``."""
        sizes = {"class": "{} classes", "labels": "{} labels", "value": "a value"}
        each = [sizes[head.kind].format(head.size) for head in self.heads]
        if not self.several:
            return each[0]
        *first, last = (f"{h.name} ({t})" for h, t in zip(self.heads, each, strict=True))
        return f"{', '.join(first)} and {last}"

    @property
    def several(self) -> bool:
        """Whether there are several tasks."""
        return len(self.heads) > 1

    @property
    def outputs(self) -> int:
        """Columns of a network's output."""
        return outputs_of(self.heads)

    @property
    def class_heads(self) -> tuple[Head, ...]:
        """The tasks that predict a class."""
        return tuple(head for head in self.heads if head.kind == "class")

    def known(self, targets: Mapping[str, Tensor]) -> Tensor:
        """Which samples [N] have the target of some task."""
        return torch.stack([head.known(targets[head.name]) for head in self.heads]).any(dim=0)

    @property
    def main(self) -> Metric:
        """The metric that stands for all where there is room for one."""
        return MEAN if self.several else find_metric(USUAL[self.heads[0].kind][0])

    @property
    def names(self) -> tuple[str, ...]:
        """The usual metrics and the chosen ones, each once."""
        usual = (name for head in self.heads for name in self._usual(head))
        mean = (MEAN.name,) if self.several else ()
        return tuple(dict.fromkeys((*mean, *usual, *self.metrics)))

    def find(self, name: str) -> Metric:
        """A metric that judges a task of the problem.

        Raises:
            SpecError: There is none of the name, or it judges another kind of task.
        """
        metric = find_metric(name)
        if metric is MEAN:
            if not self.several:
                raise SpecError(f"'{name}' is a mean over tasks, and there is one; choose another")
            return metric
        task, slash, of_task = name.partition("/")
        if not slash:
            task, of_task = "", name
        heads = {head.name: head for head in self.heads}
        if self.several and not slash:
            told = ", ".join(f"{head}/{name}" for head in heads)
            raise SpecError(f"say of which task '{name}' is: {told}; or choose mean")
        if task and task not in heads:
            raise SpecError(f"there is no task '{task}'; {suggest(task, heads)}")
        if task and not self.several:
            raise SpecError(f"there is one task; write {of_task}")
        head = heads[task] if task else self.heads[0]
        if metric.kind not in (None, head.kind):
            fitting = [each.name for each in METRICS.values() if each.kind == head.kind]
            raise SpecError(
                f"{of_task} judges {_KINDS[str(metric.kind)]}, and '{head.name}' is "
                f"{_KINDS[head.kind]}; choose one of {', '.join(fitting)}"
            )
        return metric

    def predictions(
        self, outputs: Tensor, targets: Mapping[str, Tensor], reference: Tensor | None = None
    ) -> dict[str, Predictions]:
        """What a network predicts in each task, of the samples that have the target.

        Args:
            outputs: [N, S] of the network.
            targets: By the task's name.
            reference: [N, S] of the teacher that it is compared with.
        """
        return {
            head.name: head.predictions(outputs, targets[head.name], reference)
            for head in self.heads
        }

    def scores(self, predictions: Mapping[str, Predictions]) -> dict[str, float]:
        """Every metric that can be had of the predictions, by name.

        Usual ones are left out where they are of no use, and those that compare with a teacher
        where there is none.

        Raises:
            DataError: A metric is no number on these samples.
            SpecError: A metric of the user's own fails.
        """
        scores = {
            name: score_of(name, metric, predictions[head.name], self.few)
            for head, name, metric in self._of_use(predictions)
        }
        if self.several:
            each = [scores[self._mean_name(head)] for head in self.heads]
            scores = {MEAN.name: sum(each) / len(each)} | scores
        return {name: score for name, score in scores.items() if math.isfinite(score)}

    def error(self, predictions: Mapping[str, Predictions], samples: int) -> dict[str, float]:
        """The standard error of the objective over samples, under its name and ``_error``.

        Nothing where the score and the number of samples tell it, as of a share of samples that
        all have the target, or there is no score.

        Args:
            predictions: By task, of the samples that have the target.
            samples: How many the split has.
        """
        if self.few:
            return {}
        metric = find_metric(self.objective)
        if metric is MEAN:
            drawn = [
                find_metric(IN_MEAN[head.kind]).draws(predictions[head.name]) for head in self.heads
            ]
            return {error_name(MEAN.name): deviation(torch.stack(drawn).mean(dim=0))}
        of = predictions[self.head_of(self.objective).name]
        known = len(of.targets)
        if (metric.error == "binomial" and known == samples) or (
            metric.compares and of.reference is None
        ):
            return {}
        counted = metric.standard_error(metric(of), known)
        return {error_name(self.objective): metric.bootstrap(of) if counted is None else counted}

    def head_of(self, name: str) -> Head:
        """The task that a metric judges."""
        task = name.partition("/")[0]
        return next((head for head in self.heads if head.name == task), self.heads[0])

    def _usual(self, head: Head) -> Iterator[str]:
        for name in USUAL[head.kind]:
            yield f"{head.name}/{name}" if self.several else name

    def _mean_name(self, head: Head) -> str:
        return f"{head.name}/{IN_MEAN[head.kind]}"

    def _of_use(self, predictions: Mapping[str, Predictions]) -> Iterator[tuple[Head, str, Metric]]:
        for name in self.names:
            metric = find_metric(name)
            if metric is MEAN:
                continue
            head = self.head_of(name)
            of = predictions[head.name]
            chosen = name in self.metrics or metric.applies(of.targets)
            if chosen and not (metric.compares and of.reference is None):
                yield head, name, metric


_KINDS = {"class": "one class", "labels": "labels", "value": "a value"}


CLASSIFICATION = Problem()
"""Classification by the usual metrics."""
