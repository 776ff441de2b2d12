"""A complete small search-space file."""

from __future__ import annotations

import pytest

TEXT = """\
study:
  name: small
data:
  source: digits
  augment: {crop: 1}
teacher:
  model: {family: convnet, width: 1}
  training:
    epochs: 4
students:
  - family: convnet
    width: {low: 0.2, high: 1.0, log: true}
  - {family: mlp, depth: {choices: [1, 2]}}
methods: [none, kd, kd+at]
training: {epochs: 2, lr: {low: 0.01, high: 0.1}}
"""


@pytest.fixture
def text() -> str:
    return TEXT
