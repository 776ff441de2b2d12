"""Images in a file that memory need not hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_tensor
from kdsearch.errors import DataError


@dataclass(frozen=True)
class MappedImages:
    """Some images of a file, in an order of their own, read when they are asked for.

    It has what is needed of a tensor [N, C, H, W]: ``shape``, ``dtype``, ``device``, ``len`` and
    indexing. Pickled, it is the file's name and the rows; the file is mapped anew where it is used.

    Attributes:
        file: A ``.npy`` file of uint8 [P, C, H, W] that nobody changes.
        rows: [N] int64 places in the file, in memory.
        device: Where the images are put that are read.
    """

    file: Path
    rows: Tensor
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    dtype = torch.uint8
    ndim = 4

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The images at ``index``, read into memory of their own."""
        rows = self.rows[index if isinstance(index, slice) else index.to(self.rows.device)]
        return self._pool.index_select(0, rows).to(self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        # rows as an array: a tensor travels to a process that reads through shared memory
        return MappedImages.of_rows, (self.file, self.rows.numpy(), self.device)

    @staticmethod
    def of_rows(file: Path, rows: np.ndarray, device: torch.device) -> MappedImages:
        """The images of a file at ``rows`` [N]."""
        return MappedImages(file, torch.from_numpy(rows), device)

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W].

        Raises:
            DataError: The file is not there, or is corrupt.
        """
        return torch.Size((len(self.rows), *self._pool.shape[1:]))

    def take(self, index: Tensor) -> MappedImages:
        """The images at ``index`` [M], none of them read."""
        return replace(self, rows=self.rows[index])

    def to(self, device: torch.device | str) -> MappedImages:
        """The same images, put on another device when they are read."""
        return replace(self, device=torch.device(device))

    @cached_property
    def _pool(self) -> Tensor:
        """Every image of the file [P, C, H, W], over the mapped file itself."""
        try:
            return as_tensor(open_images(self.file))
        except FileNotFoundError as error:
            raise DataError(
                f"the decoded images {self.file} are not on this machine; put data.root on "
                "storage that all nodes share, under the same path"
            ) from error
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"the decoded images {self.file} cannot be read ({error}); remove the file to "
                "have them decoded again"
            ) from error


def open_images(file: Path) -> np.ndarray:
    """The images of a ``.npy`` file, mapped for reading: uint8 [P, C, H, W].

    Raises:
        OSError, ValueError, EOFError: The file is missing, corrupt, or holds something else.
    """
    images = np.load(file, mmap_mode="r", allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"it holds {images.dtype} {list(images.shape)}")
    return images
