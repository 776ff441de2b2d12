"""Tables of small images that tell which ones they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteImage = Callable[..., Path]


@pytest.fixture
def images(tmp_path: Path, write_image: WriteImage) -> Path:
    """``images/00.png`` to ``images/23.png`` in a folder; every pixel is the image's number."""
    for number in range(24):
        pixels = np.full((6, 6, 3), number, np.uint8)
        write_image(tmp_path / "images" / f"{number:02}.png", pixels)
    return tmp_path
