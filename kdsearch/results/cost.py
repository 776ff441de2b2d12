"""What a trial costs, known before it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsearch.data import Dataset
from kdsearch.methods import parse_label
from kdsearch.results.record import TrialRecord
from kdsearch.spec.concrete import BACKBONE, TrainingConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BORN_AGAIN, MUTUAL
from kdsearch.training.fine_tuning import phases
from kdsearch.training.programs import epochs_with_forebears

STEP = 55.0
"""What a training step costs beside its samples, in millions of multiply-accumulates."""

CostOf = Callable[[TrialRecord, float], float]
"""What so many epochs of a trial cost."""

PLACE = 0.005
"""What a place of a training sample, as a pixel is, costs beside the network's multiply-accumulates
(activations, normalisation, augmentation), in millions of them."""


def trial_lengths(spec: StudySpec, epochs: int | None = None) -> list[int]:
    """Epochs of a whole trial, by each who may teach it; where trainings are shorter, of those."""
    own, generations = epochs or spec.training.epochs, spec.teaching.generations
    return [epochs_with_forebears(own, name, generations) for name in spec.taught_by]


@dataclass(frozen=True)
class TrialCost:
    """Predicts what a stretch of a trial costs, in millions of multiply-accumulates.

    A training step has three forward passes' worth of multiply-accumulates a sample, one forwards
    and two backwards; what does not grow with them, and what a method's terms add, is expressed by
    them. Fitted to steps of 64 samples on one core, from an MLP of 4,000 multiply-accumulates to a
    residual network of 9 million; there a million take some 20 microseconds.

    Attributes:
        samples: Of the training split.
        validation: Of the validation split, which is scored after each epoch.
        places: Of a sample, such as pixels.
    """

    samples: int
    validation: int
    places: int

    @staticmethod
    def on(data: Dataset) -> TrialCost:
        """The costs of trainings on a data set."""
        return TrialCost(len(data.train), len(data.validation), _places(data.input_shapes))

    @staticmethod
    def recorded(data: Mapping[str, Any]) -> TrialCost:
        """The same from what a study keeps of its data set.

        Args:
            data: A :class:`~kdsearch.results.resume.DataFacts`, as its dictionary.

        Raises:
            KeyError: The study is of an earlier kdsearch, which kept less.
        """
        return TrialCost(data["train"], data["validation"], _places(data["inputs"]))

    def __call__(self, record: TrialRecord, epochs: float) -> float:
        """What so many epochs of a trial cost, wherever in the training they lie."""
        task, macs = record.task, record.macs / 1e6 * record.widening
        batch = task.training.batch_size
        scored = PLACE / 3 * self.places + macs
        step = (STEP + _passes(task.training) * scored * batch) * relative_cost(task.method.label)
        if task.teacher in (BORN_AGAIN, MUTUAL):  # whose signals are not cached
            step += scored * batch
        trained = (1 + (task.teacher == MUTUAL)) * step * (self.samples // batch)
        return epochs * (trained + scored * self.validation)


def _passes(training: TrainingConfig) -> float:
    """Forward passes that a training step is worth: one, and two backwards where there are any.

    Under ``freeze: backbone`` and ``head_epochs`` the backbone has none; of other frozen parts it
    is not known how much of the network they are.
    """
    tuned = phases(training)
    return sum(
        epochs * (1 if each.fine_tuning and each.fine_tuning.freeze == BACKBONE else 3)
        for epochs, each in tuned
    ) / sum(epochs for epochs, _ in tuned)


def _places(inputs: Mapping[str, Sequence[int]]) -> int:
    """Of all inputs, whose first axis holds the values of one place."""
    return sum(math.prod(shape[1:]) for shape in inputs.values())


def relative_cost(label: str) -> float:
    """A training step's time with a method, as a multiple of one without; terms add up."""
    return 1.0 + sum(term.relative_cost - 1.0 for term in parse_label(label))
