"""Whether a training fine-tunes, and what it is made of."""

from __future__ import annotations

from kdsearch.spec.concrete import BACKBONE, FineTuning, ModelConfig, TrainingConfig


def fine_tuning_of(model: ModelConfig, training: TrainingConfig) -> FineTuning | None:
    """How a network is fine-tuned; ``None`` where it begins with random weights."""
    return training.fine_tuning if model.pretrained else None


def phases(training: TrainingConfig) -> list[tuple[int, TrainingConfig]]:
    """The stretches of a training that each train the same weights, with their epochs.

    Under ``head_epochs`` that of the head alone comes first.
    """
    tuning = training.fine_tuning
    if tuning is None or not tuning.head_epochs:
        return [(training.epochs, training)]
    rest = training.epochs - tuning.head_epochs
    first = training.model_copy(update={"fine_tuning": FineTuning(freeze=BACKBONE)})
    then = training.model_copy(update={"fine_tuning": tuning.model_copy(update={"head_epochs": 0})})
    return [(tuning.head_epochs, first), (rest, then)]
