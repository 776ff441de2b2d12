"""Odd image files: each is read as a viewer shows it, or refused in a sentence."""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdsearch.data.images import pillow
from kdsearch.data.images.decode import decode
from kdsearch.errors import DataError

Write = Callable[..., Path]
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def only(file: Path, **options: object) -> np.ndarray:
    """The one image of a file, [H, W, 3]."""
    image = decode([file], None, file, **options)[0]  # type: ignore[arg-type]
    return image.permute(1, 2, 0).numpy()


def save(file: Path, image: Image.Image, **options: object) -> Path:
    image.save(file, **options)
    return file


@pytest.mark.parametrize("suffix", ["tif", "gif", "ppm", "tga", "apng", "webp"])
def test_more_formats(tmp_path: Path, suffix: str) -> None:
    flat = Image.new("RGB", (16, 12), (10, 200, 30))
    form = "PNG" if suffix == "apng" else None
    options = {"lossless": True} if suffix == "webp" else {}
    file = save(tmp_path / f"a.{suffix}", flat, format=form, **options)
    assert f".{suffix}" in pillow.suffixes()
    np.testing.assert_array_equal(only(file), np.asarray(flat))


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "blue")]
    file = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (only(file) == (255, 0, 0)).all()


def icon(mode: str) -> Image.Image:
    """Black on the left, transparent black on the right."""
    image = Image.new("RGBA", (16, 12), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 8, 12))
    return image.quantize(4) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGBA", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "webp"), ("RGBA", "gif")],
)
def test_transparency_shows_the_background(tmp_path: Path, mode: str, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    file = save(tmp_path / f"a.{suffix}", icon(mode), **options)
    for background, expected in (("white", (255, 255, 255)), ("#0a141e", (10, 20, 30))):
        image = only(file, background=background)
        assert (image[:, :8] == 0).all()
        assert (image[:, 8:] == expected).all()


def test_a_transparent_colour_of_an_rgb_image(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 12), (1, 2, 3))
    image.paste((9, 9, 9), (0, 0, 8, 12))
    file = save(tmp_path / "a.png", image, transparency=(1, 2, 3))
    assert (only(file)[:, 8:] == 255).all()


@pytest.mark.parametrize(
    "tags",
    [
        b"II*\0\x08\0\0\0\x02\0"
        + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
        # a description of rationals where text belongs, far outside of the block
        + struct.pack("<HHII", 0x010E, 5, 1000, 0x7FFFFFF0),
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHI8s", 0x0112, 2, 3, b"six"),
        b"",
    ],
    ids=["orientation beside damage", "no tags", "text for a number", "empty"],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_refuses_no_image(tmp_path: Path, suffix: str, tags: bytes) -> None:
    file = save(tmp_path / f"a.{suffix}", Image.fromarray(COLOUR), exif=b"Exif\0\0" + tags)
    assert sorted(only(file).shape) == [3, 12, 16]


def test_large_jpegs_are_decoded_at_reduced_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = Image.fromarray(np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(64, 0))
    file = save(tmp_path / "a.jpg", smooth.resize((1600, 1600)).convert("RGB"), quality=95)
    sizes = []
    resized = pillow._resized
    monkeypatch.setattr(pillow, "_resized", lambda i, s: sizes.append(i.size) or resized(i, s))
    image = decode([file], 64, file)[0].float().mean(0)
    assert sizes == [(200, 200)]
    assert (image - np.asarray(smooth, dtype=np.float32)).abs().max() < 6


def test_the_limit_of_pixels_is_ours_and_told(
    tmp_path: Path, write_image: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_image(tmp_path / "a.png", COLOUR)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert only(file).shape == (12, 16, 3)
        assert Image.MAX_IMAGE_PIXELS == 10
        for most in (100, 10):
            monkeypatch.setattr(pillow, "MOST_PIXELS", most)
            with pytest.raises(DataError, match=r"a\.png .* pixels; make it smaller"):
                only(file)


def test_a_long_strip_is_no_long_image(tmp_path: Path, write_image: Write) -> None:
    file = write_image(tmp_path / "a.png", np.zeros((1, 60_000, 3), np.uint8))
    assert decode([file], 500, file).shape == (1, 3, 500, 500)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, write_image: Write) -> None:
    files = [write_image(tmp_path / f"{number}.png", COLOUR) for number in range(30)]
    for file in files[3:16]:
        file.write_bytes(b"")
    write_image(files[20], COLOUR[:5])
    with pytest.raises(DataError) as caught:
        decode(files, None, files[0])
    lines = str(caught.value).splitlines()
    assert "20.png is 5×16" in lines[0]
    assert "set data.image_size; 13 of 30 images cannot be used; replace or remove them" in lines[0]
    assert len(lines) == 12
    assert lines[1].endswith("3.png cannot be decoded (the file is empty)")
    assert lines[-1] == "  - and 3 more"


def test_any_exception_of_a_decoder_names_the_file(
    tmp_path: Path, write_image: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_image(tmp_path / "a.png", COLOUR)

    def fails(*_: object) -> None:
        raise RuntimeError("decoder\ngave up")

    monkeypatch.setattr(pillow, "_pixels", fails)
    with pytest.raises(DataError, match=r"a\.png cannot be decoded \(decoder\); replace"):
        decode([file], 8, file)


def _mutated(generator: np.random.Generator, whole: bytes) -> bytes:
    """An image file with some bytes of its head changed, and sometimes its end cut off."""
    content = bytearray(whole)
    for _ in range(generator.integers(1, 8)):
        place = int(generator.integers(0, min(len(content), 200)))
        content[place] = int(generator.integers(0, 256))
    if generator.random() < 0.3:
        del content[int(generator.integers(1, len(content))) :]
    return bytes(content)


@pytest.mark.filterwarnings("error")
def test_mutated_files_are_read_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(12)
    image, exif = Image.fromarray(COLOUR), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    forms = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "AVIF", "JPEG2000", "PPM", "MPO")
    sources = []
    for form in forms:
        stream = io.BytesIO()
        options = {"exif": exif} if form in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "MPO") else {}
        image.save(stream, form, **options)
        sources.append(stream.getvalue())
    read = 0
    with caplog.at_level(logging.DEBUG, logger="PIL"):
        for number in range(300):
            file = tmp_path / f"{number}.png"
            file.write_bytes(_mutated(generator, sources[number % len(sources)]))
            try:
                read += decode([file], 8, file).shape == (1, 3, 8, 8)
            except DataError as error:
                told = str(error)
                assert f"{number}.png " in told
                assert "; " in told
                assert "\n" not in told
    assert 50 < read < 250
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
