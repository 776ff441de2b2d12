"""What a study says of samples without targets, checked against its data."""

from __future__ import annotations

from kdsearch.data import Dataset
from kdsearch.methods import parse_label
from kdsearch.spec.study import StudySpec

_RATIO = ("training", "unlabelled_ratio")


def check_unlabelled_ratio(spec: StudySpec, data: Dataset) -> None:
    """Refuse two streams of samples where there is one, or where images of both are blended.

    Raises:
        SpecError: The message gives its line.
    """
    if spec.training.unlabelled_ratio is None:
        return
    if bool(data.problem.known(data.train.targets).all()):
        told = (
            "all training samples have a target; remove it, or set data.labels or data.unlabelled"
        )
        raise spec.refuse(_RATIO, told)
    mixes = spec.data.augment.mixes
    if mixes:
        raise spec.refuse(
            _RATIO,
            f"data.augment.{mixes[0]} blends in images of all training samples, so that a batch "
            "would not hold the ratio; remove one of them",
        )


def check_unlabelled_methods(spec: StudySpec, data: Dataset) -> None:
    """Refuse methods that learn from samples without a class where every sample has one.

    Raises:
        SpecError: The message gives its line.
    """
    if any(head.gaps for head in data.problem.heads):
        return
    for label in spec.methods:
        found = [term.name for term in parse_label(label) if term.unlabelled]
        if found:
            raise spec.refuse(
                ("methods", label),
                f"{found[0]} learns from samples without a target, and all training samples have "
                f"one; remove {label}, or set data.labels or data.unlabelled",
            )
