"""kdsearch: which distilled student should I ship?

A search over distillation methods and their hyperparameters. The names below are the public API:

- :func:`load_spec` reads a search-space file.
- :func:`run_study` runs it and returns a :class:`Study`, whose ``front`` and ``trials`` are pandas
  data frames.
- :func:`load_student` rebuilds a distilled student from its two files.
- ``__version__`` is the version that is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kdsearch.import_path import current_directory_behind

if TYPE_CHECKING:
    from kdsearch.api import run_study
    from kdsearch.export.student import Student, load_student
    from kdsearch.results.study import Study
    from kdsearch.spec.load import load_spec

    __version__: str

# here, since it is the first that a worker of Ray imports of kdsearch, and torch comes after it
current_directory_behind()

_HOMES = {
    "load_spec": "kdsearch.spec.load",
    "run_study": "kdsearch.api",
    "Study": "kdsearch.results.study",
    "load_student": "kdsearch.export.student",
    "Student": "kdsearch.export.student",
}

__all__ = ["Student", "Study", "load_spec", "load_student", "run_study"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch, Ray and MLflow take seconds."""
    if name == "__version__":
        return import_module("importlib.metadata").version("kdsearch")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kdsearch' has no attribute '{name}'")
