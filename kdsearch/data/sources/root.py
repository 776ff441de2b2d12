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
    if section.root is None:
        raise DataError(f"the source {section.source} reads files; set data.root to their folder")
    root = section.root.expanduser()
    if not root.is_dir() and not section.download:
        raise DataError(f"data.root: there is no folder {root}; fix the path")
    return root
