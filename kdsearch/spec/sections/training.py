"""``training``."""

from __future__ import annotations

from kdsearch.spec.concrete import TrainingConfig
from kdsearch.spec.dimensions import NotNegativeDimension, PositiveDimension, ShareDimension


class TrialTraining(TrainingConfig):
    """``training``: how every trial is trained; rate, decay and smoothing may be searched."""

    lr: PositiveDimension = 0.05  # type: ignore[assignment]
    """Peak learning rate, or a range of it."""
    weight_decay: NotNegativeDimension = 5e-4  # type: ignore[assignment]
    """Weight decay, or a range of it."""
    label_smoothing: ShareDimension = 0.0  # type: ignore[assignment]
    """Share of the target that is spread evenly over the classes, in the cross-entropy alone, or a
    range of it."""


SEARCHED_TRAINING = ("lr", "weight_decay", "label_smoothing")
"""What of a trial's training may be searched."""
