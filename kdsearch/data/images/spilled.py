"""Images of this process's memory in a file without a name, for the processes that read them."""

from __future__ import annotations

import os
import tempfile
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.column import Column
from kdsearch.data.dataset import Split
from kdsearch.data.images.mapped import MappedImages
from kdsearch.errors import DataError


@dataclass(frozen=True)
class SpilledImages(MappedImages):
    """Mapped images that this process has written, for itself and the processes that it starts.

    The file has no name, so that nothing is left of it when the last of these processes has ended,
    even if they are killed. It goes with the last object of these images.

    Attributes:
        kept: Keeps the file open in the process that wrote it; does not travel to others.
    """

    kept: object = field(default=None, repr=False, compare=False)


def spilled(split: Split) -> Split:
    """The split with its images in a file, which any number of processes map; mapped ones as given.

    Handed over as a tensor they would lie in ``/dev/shm`` whole, of which a container may have
    64 MB, and writing beyond that kills the process.

    Args:
        split: The inputs and targets; inputs other than images stay in memory.

    Raises:
        DataError: The folder of temporary files has too little room.
    """
    return replace(split, inputs={name: _spilled(each) for name, each in split.inputs.items()})


def _spilled(column: Column) -> Column:
    if isinstance(column, MappedImages) or column.dtype != torch.uint8:
        return column
    try:
        opened = _written(column)
    except OSError as error:
        raise DataError(
            f"{column.nbytes / 1e9:.1f} GB of images do not fit on the GPU and cannot be put into "
            f"{tempfile.gettempdir()} for the processes that read them ({error}); make room there, "
            "let TMPDIR name another folder, or set resources.loaders=0"
        ) from error
    file = Path(f"/proc/{os.getpid()}/fd/{opened.fileno()}")
    return SpilledImages(file, torch.arange(len(column)), kept=_Kept(opened))


class _Kept:
    """Closes a file when nobody holds this any more."""

    def __init__(self, opened: IO[bytes]) -> None:
        weakref.finalize(self, opened.close)


def _written(images: Tensor) -> IO[bytes]:
    with ExitStack() as stack:
        # for reading too, or NumPy writes in a way whose errors do not say what failed
        opened = stack.enter_context(tempfile.TemporaryFile("w+b"))
        np.save(opened, images.numpy())
        opened.flush()
        stack.pop_all()
    return opened
