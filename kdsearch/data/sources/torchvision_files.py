"""The data sets that torchvision reads and fetches."""

from __future__ import annotations

import pickle
import struct
from typing import Any

from kdsearch.data.sources.raw import RawData
from kdsearch.data.sources.root import required_root
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection

_BROKEN = (
    OSError,
    RuntimeError,
    ValueError,
    AssertionError,
    LookupError,
    EOFError,
    pickle.UnpicklingError,
    struct.error,
)
"""What torchvision lets through when files are absent, corrupt or of another kind."""


def load_torchvision(name: str, folder: str, section: DataSection) -> RawData:
    """Read both halves of one of torchvision's data sets.

    Args:
        name: Its class in ``torchvision.datasets``.
        folder: Where it keeps its files under the root.
        section: ``root`` is read, and filled first if ``download``.

    Raises:
        DataError: No root, or files that are absent, corrupt, or cannot be fetched.
    """
    # Imported late: a worker that is handed its data set never pays for the import.
    from torchvision import datasets

    root = required_root(section)

    def half(train: bool) -> Any:
        return getattr(datasets, name)(root=str(root), train=train, download=section.download)

    try:
        train, test = half(True), half(False)
    except _BROKEN as error:
        reason = (str(error) or type(error).__name__).split("\n")[0].rstrip(".")
        if section.download:
            raise DataError(
                f"{section.source} could not be fetched into {root} ({reason}); check the "
                f"connection, or put its files into {root / folder}"
            ) from error
        raise DataError(
            f"{section.source} is not in {root}, or is damaged ({reason}); looked for "
            f"{root / folder}: fix data.root, or set data.download: true to fetch it"
        ) from error
    return RawData(train.data, train.targets, test.data, test.targets, tuple(train.classes))
