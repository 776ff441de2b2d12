"""Trainings in a folder: saved after an epoch, and loaded again, maybe by another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from kdsearch.errors import CheckpointError
from kdsearch.files import checksum
from kdsearch.training.programs import TrainingProgram

_STATE, _SUM = "training.pt", "training.sha256"


def save_training(program: TrainingProgram, folder: Path) -> None:
    """Save all that a training needs to go on."""
    save_state(program.state_dict(), folder)


def load_training(program: TrainingProgram, folder: Path) -> None:
    """Let a training go on from what :func:`save_training` has saved.

    Raises:
        CheckpointError: The files are missing or corrupt.
        ModelError: They belong to another training.
    """
    program.load_state_dict(load_state(folder))


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Save a state of tensors and plain values, with its checksum, into a folder that is there."""
    torch.save(state, folder / _STATE)
    (folder / _SUM).write_text(checksum(folder / _STATE))


def load_state(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What :func:`save_state` has saved, its tensors on a device.

    Raises:
        CheckpointError: The files are missing or corrupt.
    """
    try:
        whole = (folder / _SUM).read_text() == checksum(folder / _STATE)
    except OSError as error:
        raise CheckpointError(f"there is no whole training in {folder} ({error})") from error
    if not whole:
        raise CheckpointError(f"the training in {folder} is corrupt")
    return torch.load(folder / _STATE, map_location=device, weights_only=True)
