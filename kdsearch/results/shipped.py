"""A finalist as shipped, read from its folder: what ``student.json`` says, and where its weights
are."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, field_validator, model_validator

from kdsearch.errors import CheckpointError
from kdsearch.files import checksum
from kdsearch.models.inputs import InputKind
from kdsearch.problems import Kind
from kdsearch.spec.concrete import ModelConfig

FORMAT = 3
"""Raised when a student.json of an earlier version can no longer be read."""

DESCRIPTION = "student.json"
"""The file that tells what a student is."""
WEIGHTS = "student.safetensors"
"""The file of its weights, beside that."""


class ShippedTask(BaseModel):
    """What ``student.json`` says of a task."""

    name: str
    kind: Kind
    names: tuple[str, ...]
    mean: float
    std: float


class ShippedInput(BaseModel):
    """What ``student.json`` says of an input."""

    name: str
    kind: InputKind
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @model_validator(mode="after")
    def _one_value_each(self) -> ShippedInput:
        if not self.shape or min(self.shape) < 1:
            raise ValueError("shape must have an axis, and each at least 1")
        if not len(self.mean) == len(self.std) == self.shape[0]:
            raise ValueError("mean and std must have as many values as the first axis of shape")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError("mean and std must be finite, and std above 0")
        return self


class Description(BaseModel):
    """The part of ``student.json`` from which the network is rebuilt."""

    format: int
    model: ModelConfig
    inputs: tuple[ShippedInput, ...]
    tasks: tuple[ShippedTask, ...]
    sha256: str

    @field_validator("format")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != FORMAT:
            raise ValueError(f"this version of kdsearch reads format {FORMAT}, not format {value}")
        return value


@dataclass(frozen=True)
class Shipped:
    """A student's two files, which belong together.

    Attributes:
        told: What the network is rebuilt from.
        facts: The whole content of ``student.json``.
        weights: The file of its weights.
    """

    told: Description
    facts: dict[str, Any]
    weights: Path


def read_shipped(path: Path) -> Shipped:
    """A student from its folder, or from the ``student.json`` in it.

    Raises:
        CheckpointError: The files are missing, corrupt, or do not belong together.
    """
    file = path / DESCRIPTION if path.is_dir() else path
    weights = file.with_name(WEIGHTS)
    try:
        facts = json.loads(file.read_text())
        told = Description.model_validate(facts)
        sound = checksum(weights) == told.sha256
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"no student can be read from {path} ({_reason(error)}); give a folder that holds "
            f"{DESCRIPTION} and {WEIGHTS}"
        ) from None
    if not sound:
        raise CheckpointError(
            f"{weights} is not the file that {file} describes; copy both again from the study"
        )
    return Shipped(told, facts, weights)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        return place + first["msg"].removeprefix("Value error, ")
    return str(error)
