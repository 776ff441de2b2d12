"""The folder of a source that reads files."""

from __future__ import annotations

from pathlib import Path

from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection


def required_root(section: DataSection) -> Path:
    """``data.root`` as a path, ``~`` resolved.

    Raises:
        DataError: It is not given, or is not a folder and nothing is to be downloaded.
    """
    root = given_root(section)
    if root is None:
        raise DataError(f"the source {section.source} reads files; set data.root to their folder")
    return root


def given_root(section: DataSection) -> Path | None:
    """``data.root`` as a path, ``~`` resolved, if it is given.

    Raises:
        DataError: It is not a folder and nothing is to be downloaded.
    """
    root = section.root and section.root.expanduser()
    if root and not root.is_dir() and not section.download:
        raise DataError(f"data.root: there is no folder {root}; fix the path")
    return root
