"""What a trial costs, known before it is trained."""

from __future__ import annotations

from kdsearch.spec.study import StudySpec
from kdsearch.training.programs import epochs_with_forebears


def trial_lengths(spec: StudySpec) -> list[int]:
    """Epochs of a whole trial, by each who may teach it."""
    epochs, generations = spec.training.epochs, spec.teaching.generations
    return [epochs_with_forebears(epochs, name, generations) for name in spec.taught_by]
