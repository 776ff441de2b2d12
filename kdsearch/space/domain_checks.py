"""What a study says of a target domain, checked before its data are read."""

from __future__ import annotations

from kdsearch.space.class_checks import trainings
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.sections import DataSection
from kdsearch.spec.study import StudySpec


def check_domain_settings(spec: StudySpec) -> None:
    """Refuse settings that contradict a target domain, or have no effect with or without one.

    Raises:
        SpecError: The message gives its line.
    """
    for path, training in trainings(spec).items():
        if training.target_ratio is not None:
            _check_ratio(spec, (*path, "target_ratio"))
    if spec.target is None:
        return
    if spec.training.unlabelled_ratio is not None:
        raise spec.refuse(
            ("training", "unlabelled_ratio"),
            "with target, batches hold samples of both domains by training.target_ratio; remove "
            "unlabelled_ratio",
        )
    if mixes := spec.data.augment.mixes:
        raise spec.refuse(
            ("data", "augment", mixes[0]),
            f"{mixes[0]} would blend samples of both domains, so that none is of one of them; "
            "remove it",
        )
    if spec.data.validation != DataSection.model_fields["validation"].default:
        raise spec.refuse(
            ("data", "validation"),
            "with target, validation is the target's, and all of these samples are trained on; "
            "remove it, or set target.validation",
        )


def _check_ratio(spec: StudySpec, path: KeyPath) -> None:
    """Refuse a ratio of two domains where a training sees one."""
    if spec.target is None:
        raise spec.refuse(path, "target_ratio is for a study with target; remove it")
    if path != ("training", "target_ratio") and spec.target.labels == 0:
        raise spec.refuse(
            path,
            "a teacher is trained on labelled samples alone, and the target has none; remove it, "
            "or set target.labels",
        )
