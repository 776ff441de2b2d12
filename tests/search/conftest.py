"""A small study that the tests of the search share."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.spec import StudySpec, parse_spec

TEXT = """
study: {{name: tiny, seed: 3, directory: {directory}}}
data: {{source: digits, validation: 0.2, test: 0.25, limit: 400}}
teacher:
  model: {{family: convnet, width: 1, depth: 2}}
  training: {{epochs: 2}}
students:
  - {{family: convnet, width: {{low: 0.2, high: 1.0, log: true}}, depth: {{choices: [1, 2]}}}}
  - {{family: mlp, width: {{low: 0.1, high: 0.5, log: true}}, depth: 1}}
methods: [none, kd, dist, kd+fitnet]
training: {{epochs: 1, lr: {{low: 0.02, high: 0.2, log: true}}, clip_grad_norm: 5}}
search: {{trials: 12}}
finalists: {{seeds: 2, max: 2}}
tracking: {{uri: "sqlite:///{directory}/mlflow.db"}}
"""


@pytest.fixture
def spec_text(tmp_path: Path) -> str:
    return TEXT.format(directory=tmp_path)


@pytest.fixture
def spec(spec_text: str) -> StudySpec:
    return parse_spec(spec_text)
