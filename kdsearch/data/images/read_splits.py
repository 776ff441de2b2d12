"""Image files of several splits, in memory or, where they do not fit there, mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from kdsearch.data.feeds.memory import fits_memory, refuse_second_domain
from kdsearch.data.images.decode import WHITE, decode_groups, decoded_sides, first_readable
from kdsearch.data.images.decoded import decoded_file
from kdsearch.data.images.mapped import MappedImages


def read_splits(
    files: Mapping[str, Sequence[Path]],
    image_size: int | None,
    root: Path,
    background: str = WHITE,
) -> dict[str, Tensor | MappedImages]:
    """The images of each split, uint8 [N, 3, H, W], all of one size.

    Images that take more than half of the memory are decoded once into a file in
    ``root/.kdsearch/`` and stay there: :func:`kdsearch.data.images.decoded.decoded_file`.

    Args:
        files: The image files of each split, by its name.
        image_size: As :func:`kdsearch.data.images.decode.decode` takes it.
        root: The data set's folder.
        background: Colour on which transparent images are laid.

    Raises:
        DataError: Images that :func:`kdsearch.data.images.decode.decode` refuses, or no room for
            the decoded ones; or beside another domain's.
    """
    groups = list(files.values())
    together = [file for group in groups for file in group]
    first = first_readable(together, image_size, background)
    if fits_memory(len(together), *decoded_sides(first, image_size, background)):
        return dict(zip(files, decode_groups(groups, image_size, first, background), strict=True))
    refuse_second_domain()  # both domains are joined in memory
    decoded = decoded_file(together, image_size, root, background)
    everything = MappedImages(decoded, torch.arange(len(together)))
    places = everything.rows.split([len(group) for group in groups])
    return {split: everything.take(rows) for split, rows in zip(files, places, strict=True)}
