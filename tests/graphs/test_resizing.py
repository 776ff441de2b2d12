"""Resizing inside a graph against Pillow and against PyTorch's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kdsearch.data.images.pillow import read_image
from kdsearch.graphs.resizing import resized

SIDES = st.integers(min_value=4, max_value=70)


@settings(max_examples=40)
@given(height=SIDES, width=SIDES, size=st.integers(min_value=4, max_value=40))
def test_as_image_files_are_read_but_for_their_8_bits(height: int, width: int, size: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    picture = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    found = resized(torch.from_numpy(pixels).permute(2, 0, 1)[None], size, size)
    # Pillow rounds after either axis
    assert np.abs(found[0].permute(1, 2, 0).numpy() - np.asarray(picture)).max() <= 1.01


@settings(max_examples=30)
@given(side=SIDES, size=st.integers(min_value=4, max_value=40))
def test_squares_as_pytorch_resizes_them(side: int, size: int) -> None:
    images = torch.rand(2, 3, side, side)
    expected = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    torch.testing.assert_close(resized(images, size, size), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_of_the_size_stay_as_they_are(dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (3, 1, 9, 9)).to(dtype)
    assert torch.equal(resized(images, 9, 9), images.to(torch.float32))


def test_a_file_that_was_resized_when_read(tmp_path: Path) -> None:
    file = tmp_path / "wide.png"
    pixels = np.random.default_rng(0).integers(0, 256, (33, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    read = read_image(file, 16, "white")
    found = resized(torch.from_numpy(pixels).permute(2, 0, 1)[None], 16, 16)
    assert np.abs(found[0].permute(1, 2, 0).numpy() - read).max() <= 1.01
