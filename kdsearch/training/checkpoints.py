"""Trainings on disk: put aside after an epoch, and taken up again."""

from __future__ import annotations

from pathlib import Path

import torch

from kdsearch.files import taking_name_last
from kdsearch.training.programs import TrainingProgram


def save_training(course: TrainingProgram, path: Path) -> None:
    """Save all that a training needs to go on; the file is whole, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with taking_name_last(path) as partial:
        torch.save(course.state_dict(), partial)


def load_training(course: TrainingProgram, path: Path) -> None:
    """Let a training go on from a file that :func:`save_training` has written.

    A training whose file is gone, damaged, or on a node that this one cannot read, starts over; it
    comes to the same end.

    Raises:
        ModelError: The file belongs to another training.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises whatever the bytes of the file lead it to
        return
    course.load_state_dict(state)
