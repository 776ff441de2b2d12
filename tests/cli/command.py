"""A sound search-space file, and what a command leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SPEC = """\
study:
  name: small
data:
  source: digits
  limit: 200
  augment: {crop: 1}
teacher:
  model: {family: convnet, width: 1}
  training: {epochs: 1, batch_size: 16}
students:
  - {family: convnet, width: {low: 0.2, high: 1.0, log: true}}
methods:
  kd: {temperature: {low: 1, high: 8}}
  none:
training: {epochs: 1, batch_size: 20}
search: {trials: 2}
finalists: {seeds: 2, max: 2}
"""


class Told(NamedTuple):
    """What a command left: its exit code, its sentence on stderr, and what it printed."""

    code: int
    sentence: str
    printed: str


Command = Callable[..., Told]


def place(text: str, at: str) -> str:
    """``spec.yaml:line:column`` of the first ``at`` in a text."""
    offset = text.index(at)
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return f"spec.yaml:{line}:{column}"
