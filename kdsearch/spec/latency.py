"""``latency``: how long a student takes, and where that is measured."""

from __future__ import annotations

import shlex

from pydantic import Field, field_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number, Whole


class LatencySection(Section):
    """``latency``: how latencies are measured, in onnxruntime here or by a command of yours."""

    threads: Whole = Field(default=1, ge=1)
    """Threads of onnxruntime. One runs on a core that no trial uses."""
    batch: Whole = Field(default=1, ge=1)
    """Samples of a run; the latency is that of the whole batch."""
    command: str | None = None
    """A benchmark on the device, such as ``ssh board ./bench``. It gets the path of an ONNX file
    as its last argument, or where ``{file}`` stands, and prints milliseconds as its last number."""
    timeout: Number = Field(default=120.0, gt=0)
    """Seconds that one run of the command may take."""
    retries: Whole = Field(default=2, ge=0)
    """How often the command is tried again where it fails."""

    @field_validator("command")
    @classmethod
    def _splits(cls, command: str | None) -> str | None:
        if command is not None:
            try:
                words = shlex.split(command)
            except ValueError as error:
                raise ValueError(f"cannot be split into words ({error}); fix its quotes") from None
            if not words:
                raise ValueError("names no program; remove it")
        return command
