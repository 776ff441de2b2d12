"""Whole trainings in a test: run to their end, put away, and compared."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import nn

from kdsearch.training.programs import TrainingProgram
from kdsearch.training.reports import EpochReport


def finish(training: TrainingProgram) -> list[EpochReport]:
    """Train what is left of the epochs; their reports."""
    reports = []
    while not training.finished:
        reports.append(training.train_epoch())
    return reports


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from a checkpoint, where it is written and read as plain tensors."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_same_weights(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=tolerance, atol=tolerance, msg=name)
