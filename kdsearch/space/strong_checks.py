"""What a study says of strong views, checked against its methods."""

from __future__ import annotations

from kdsearch.data import Dataset
from kdsearch.methods import parse_label, reads_strong_view
from kdsearch.spec.study import StudySpec

_SETTING = ("data", "strong_augment")


def check_strong_views(spec: StudySpec) -> None:
    """Refuse methods of strong views where the weak ones are of two images, and strong views that
    no method reads.

    Raises:
        SpecError: The message gives its line.
    """
    strong, mixes = spec.data.strong_augment, spec.data.augment.mixes
    labels = [label for label in spec.methods if reads_strong_view(label)]
    if strong is not None and not labels:
        told = "no method of the study reads it; remove it, or add one that does, such as fixmatch"
        raise spec.refuse(_SETTING, told)
    for label in labels:
        name = _reader(label)
        if mixes:
            raise spec.refuse(
                ("data", "augment", mixes[0]),
                f"{name} compares an image with itself, strongly augmented, and {mixes[0]} blends "
                "in another; remove one of them",
            )


def check_strong_methods(spec: StudySpec, data: Dataset) -> None:
    """Refuse methods of strong views where there are none, or can be none.

    Raises:
        SpecError: The message gives its line.
    """
    for label in filter(reads_strong_view, spec.methods):
        if all(each.kind != "image" for each in data.inputs.values()):
            told = f"{_reader(label)} needs images, and the data have none; remove {label}"
            raise spec.refuse(("methods", label), told)
        if spec.data.strong_augment is None:
            raise spec.refuse(
                ("methods", label),
                f"{_reader(label)} compares images under data.augment with strongly augmented "
                "ones; set data.strong_augment, such as {rand_augment: {}, cutout: 4}",
            )


def _reader(label: str) -> str:
    """The term of a label that reads strong views."""
    return next(term.name for term in parse_label(label) if term.strong_view)
