"""Trainings in a folder: saved after an epoch, and loaded again, maybe by another process."""

from __future__ import annotations

from pathlib import Path

import torch

from kdsearch.errors import CheckpointError
from kdsearch.files import checksum
from kdsearch.training.programs import TrainingProgram

_STATE, _SUM = "training.pt", "training.sha256"


def save_training(program: TrainingProgram, folder: Path) -> None:
    """Save all that a training needs to go on, with its checksum, into a folder that is there."""
    torch.save(program.state_dict(), folder / _STATE)
    (folder / _SUM).write_text(checksum(folder / _STATE))


def load_training(program: TrainingProgram, folder: Path) -> None:
    """Let a training go on from what :func:`save_training` has saved.

    Raises:
        CheckpointError: The files are missing or damaged.
        ModelError: They belong to another training.
    """
    try:
        whole = (folder / _SUM).read_text() == checksum(folder / _STATE)
    except OSError as error:
        raise CheckpointError(f"there is no whole training in {folder} ({error})") from error
    if not whole:
        raise CheckpointError(f"the training in {folder} is damaged")
    program.load_state_dict(torch.load(folder / _STATE, map_location="cpu", weights_only=True))
