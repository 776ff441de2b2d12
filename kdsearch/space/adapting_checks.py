"""What a study says of methods that adapt to a target domain, checked against its data."""

from __future__ import annotations

from kdsearch.data import Dataset
from kdsearch.methods import parse_label
from kdsearch.spec.study import StudySpec


def check_adapting_methods(spec: StudySpec, data: Dataset) -> None:
    """Refuse methods that adapt where there is nothing to adapt to, or nothing that they may.

    Raises:
        SpecError: The message gives its line.
    """
    tuning = spec.training.fine_tuning
    frozen = tuning is not None and tuning.batch_norm == "frozen"
    for label in spec.methods:
        for term in parse_label(label):
            told = ""
            if term.adapts and data.train.domain is None:
                told = (
                    f"{term.name} adapts to a target domain, and the study has none; remove "
                    f"{label}, or add a section target"
                )
            elif term.kind == "statistics" and frozen:
                told = (
                    f"{term.name} gives batch normalisation other statistics, and "
                    "training.fine_tuning.batch_norm freezes them; remove one of them"
                )
            if told:
                raise spec.refuse(("methods", label), told)
