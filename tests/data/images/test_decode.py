"""Decoding against arrays that were written losslessly, and against hand-made resizing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdsearch.data.images.decode import decode, decoded_sides
from kdsearch.errors import DataError

Write = Callable[..., Path]
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_lossless_formats_come_back_exactly(
    tmp_path: Path, write_image: Write, suffix: str
) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    file = write_image(tmp_path / f"a.{suffix}", COLOUR, **options)
    images = decode([file], None, file)
    np.testing.assert_array_equal(images[0].numpy(), COLOUR.transpose(2, 0, 1))


def test_jpeg_comes_back_nearly(tmp_path: Path, write_image: Write) -> None:
    smooth = np.add.outer(np.arange(16) * 8, np.arange(16) * 7).astype(np.uint8)
    file = write_image(tmp_path / "a.jpg", np.dstack([smooth] * 3), quality=95)
    decoded = decode([file], None, file)[0].numpy().astype(int)
    assert np.abs(decoded - smooth).max() <= 8


def test_grey_and_palette_become_rgb(tmp_path: Path, write_image: Write) -> None:
    grey = write_image(tmp_path / "grey.png", COLOUR[..., 0])
    np.testing.assert_array_equal(decode([grey], None, grey)[0], np.stack([COLOUR[..., 0]] * 3))
    palette = tmp_path / "palette.png"
    flat = np.full((12, 16, 3), (10, 200, 30), np.uint8)
    Image.fromarray(flat).quantize(4).save(palette)
    np.testing.assert_array_equal(decode([palette], None, palette)[0], flat.transpose(2, 0, 1))


def test_every_file_lands_in_its_own_place(tmp_path: Path, write_image: Write) -> None:
    # More files than one task of the thread pool holds.
    files = [
        write_image(tmp_path / f"{value}.png", np.full((4, 4, 3), value, np.uint8))
        for value in range(200)
    ]
    images = decode(files, None, files[0])
    assert images.shape == (200, 3, 4, 4)
    assert (images.flatten(1) == images[:, 0, 0, :1]).all()
    assert images[:, 0, 0, 0].tolist() == list(range(200))


def test_shorter_side_is_resized_and_the_centre_kept(tmp_path: Path, write_image: Write) -> None:
    # Three squares of 8×8 side by side; halving and cutting the centre leaves the middle one.
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 200
    wide = write_image(tmp_path / "wide.png", pixels)
    tall = write_image(tmp_path / "tall.png", pixels.transpose(1, 0, 2))
    for file in (wide, tall):
        image = decode([file], 4, file)[0].numpy()
        assert image.shape == (3, 4, 4)
        assert (image[:, 1:3, 1:3] == 200).all()
        assert image.min() > 150  # only the antialiasing of the edges darkens the rim


def test_resizing_antialiases(tmp_path: Path, write_image: Write) -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    file = write_image(tmp_path / "board.png", np.dstack([board] * 3))
    image = decode([file], 8, file)[0].numpy().astype(int)
    # Without antialiasing single pixels are picked: 0 or 255. With it each is their mean.
    assert np.abs(image - 127.5).max() < 5


def test_images_are_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 6  # "rotate 90° clockwise to show"
    file = tmp_path / "turned.png"
    image.save(file, exif=exif)
    assert decoded_sides(file, None) == (16, 12)
    expected = np.rot90(COLOUR, k=-1).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode([file], None, file)[0].numpy(), expected)


def test_different_sizes_need_an_image_size(tmp_path: Path, write_image: Write) -> None:
    first = write_image(tmp_path / "a.png", COLOUR)
    other = write_image(tmp_path / "b.png", COLOUR[:, :9])
    with pytest.raises(DataError, match=r"b\.png is 12×9 and .*a\.png is 12×16.*data\.image_size"):
        decode([first, other], None, first)
    assert decode([first, other], 8, first).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
@pytest.mark.parametrize("damage", ["torn", "empty", "text"])
def test_a_broken_file_is_named(
    tmp_path: Path, write_image: Write, suffix: str, damage: str
) -> None:
    good = write_image(tmp_path / "good.png", COLOUR)
    bad = write_image(tmp_path / f"bad.{suffix}", COLOUR)
    whole = bad.read_bytes()
    contents = {"torn": whole[: len(whole) // 2], "empty": b"", "text": b"not an image"}
    bad.write_bytes(contents[damage])
    with pytest.raises(DataError, match=rf"bad\.{suffix} cannot be decoded"):
        decode([good, bad], None, good)


def test_sixteen_bits_a_channel_are_refused(tmp_path: Path, write_image: Write) -> None:
    file = write_image(tmp_path / "deep.png", np.full((4, 4), 40_000, np.uint16))
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits a channel"):
        decode([file], None, file)
