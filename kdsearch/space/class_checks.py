"""What a study says of classes, checked against the tasks and the data."""

from __future__ import annotations

from kdsearch.data import Dataset
from kdsearch.spec.concrete import TrainingConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import teacher_path
from kdsearch.training.class_balance import (
    class_weights,
    mean_weight,
    no_such_class,
    of_task,
    unknown_class,
)


def trainings(spec: StudySpec) -> dict[KeyPath, TrainingConfig]:
    """How trials and teachers are trained, by where it stands."""
    own: dict[KeyPath, TrainingConfig] = {("training",): spec.training}
    teachers = spec.given_teachers.items()
    return own | {(*teacher_path(name), "training"): each.training for name, each in teachers}


def check_class_weights(spec: StudySpec, data: Dataset) -> None:
    """Refuse what a training says of classes, where the tasks have none or no such ones.

    Raises:
        SpecError: The message gives its line.
    """
    whose: dict[KeyPath, str] = {
        (*teacher_path(name), "training"): name for name in spec.given_teachers
    }
    for path, training in trainings(spec).items():
        known = data.of_tasks(spec.tasks_of(whose[path]) if path in whose else ())
        heads, split = known.problem.class_heads, known.train
        classes = tuple(name for head in heads for name in head.names)
        if not heads:
            _check_no_classes(spec, path, training)
            _check_smoothing(spec, path, training, data)
            continue
        unknown = unknown_class(training, classes)
        if unknown is not None:
            told = no_such_class(unknown, classes)
            raise spec.refuse((*path, "class_weights", unknown), told)
        named = training.class_weights if isinstance(training.class_weights, dict) else {}
        for name in named:
            if classes.count(name) > 1:
                told = f"several tasks have a class '{name}'; give the classes other names"
                raise spec.refuse((*path, "class_weights", name), told)
        for head in heads:
            labels, own = split.targets[head.name], of_task(training, head)
            weights = class_weights(own, labels[head.known(labels)], head.names)
            if mean_weight(training, split, known.problem, head, weights) == 0:
                told = "class_weights gives all training samples the weight 0; give one class more"
                raise spec.refuse((*path, "class_weights"), told)


def check_stands_for(spec: StudySpec, data: Dataset) -> None:
    """Refuse a teacher's outputs that stand for other classes than those of the data.

    Raises:
        SpecError: The message gives its line.
    """
    for name, teacher in spec.given_teachers.items():
        given = [each for each, _ in teacher.model.stands_for]
        if not given:
            continue
        path = (*teacher_path(name), "model", "stands_for")
        heads = data.of_tasks(spec.tasks_of(name)).problem.heads
        if len(heads) > 1 or heads[0].kind != "class":
            raise spec.refuse(path, "outputs stand for classes of one task alone; remove it")
        if given != list(heads[0].names):
            wrong = next((each for each in given if each not in heads[0].names), None)
            told = f"the data have no class '{wrong}'; " if wrong is not None else ""
            raise spec.refuse(
                path, f"{told}name every class once, in this order: {', '.join(heads[0].names)}"
            )


def check_top_k(spec: StudySpec, data: Dataset) -> None:
    """Refuse to store the largest logits alone where logits are not those of one class.

    Raises:
        SpecError: The message gives its line.
    """
    if spec.cache.top_k is not None and (data.problem.several or not data.problem.class_heads):
        raise spec.refuse(
            ("cache", "top_k"), "the largest logits stand for all of one class alone; remove top_k"
        )


def _check_smoothing(
    spec: StudySpec, path: KeyPath, training: TrainingConfig, data: Dataset
) -> None:
    """Refuse to smooth labels where every task is a value."""
    if training.label_smoothing and all(head.kind == "value" for head in data.problem.heads):
        told = "no task has classes or labels; remove label_smoothing"
        raise spec.refuse((*path, "label_smoothing"), told)


def _check_no_classes(spec: StudySpec, path: KeyPath, training: TrainingConfig) -> None:
    """Refuse what evens classes out where no task has any."""
    for name in ("class_weights", "sampling"):
        if getattr(training, name) != "none":
            raise spec.refuse((*path, name), f"no task has classes; set {name} to none")
