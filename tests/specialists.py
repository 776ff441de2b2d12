"""A small study of digits with three tasks, whose teachers know some of them alone."""

from __future__ import annotations

from typing import Any

import yaml

from kdsearch.spec import StudySpec, parse_spec

TASKS = {"digit": "class", "parity": {"kind": "class", "weight": 0.5}, "ink": "value"}
CONVNET = {"model": {"family": "convnet", "width": 0.5, "depth": 2}, "training": {"epochs": 2}}
MLP = {"model": {"family": "mlp", "width": 0.5, "depth": 1}, "training": {"epochs": 2}}
SHAPES = CONVNET | {"tasks": ["parity", "digit"]}
INKER = MLP | {"tasks": ["ink"]}


def text_of(directory: Any = "studies", **sections: Any) -> str:
    """A search space in which ``teacher`` knows digit and parity, and ``inker`` ink."""
    content = {
        "study": {"name": "specialists", "directory": str(directory)},
        "data": {"source": "digits", "validation": 0.2, "test": 0.25, "limit": 300},
        "problem": {"tasks": TASKS},
        "teacher": SHAPES,
        "teachers": {"inker": INKER},
        "students": [{"family": "convnet", "width": 0.3, "depth": 2}],
        "methods": ["none", "kd", "mse_logits"],
        "training": {"epochs": 2, "batch_size": 60},
    }
    return yaml.safe_dump(content | sections, sort_keys=False)


def spec_of(directory: Any = "studies", **sections: Any) -> StudySpec:
    """The same as it is parsed from the file ``space.yaml``."""
    return parse_spec(text_of(directory, **sections), file="space.yaml")
