"""One image file to pixels, by Pillow."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin, features

from kdsearch.data.images.decode_errors import ImageError, broken

MOST_PIXELS = 250_000_000
"""Pixels of the largest image that is read; Pillow holds each in 4 bytes, some more than once."""

_LARGE = 30_000_000
"""Images of more pixels are decoded one at a time."""

_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TGA": (".tga",),
}
"""Formats that are read, with their suffixes; no other decoder is let near a file."""

_NEEDED = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
"""Parts of Pillow that not every build has."""

_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of more than 8 bits a channel, which Pillow would clip instead of scaling."""

_ORIENTATION = 0x0112

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its orientation tag."""

_PILLOW = threading.RLock()
_LARGE_ONES = threading.Lock()


@cache
def suffixes() -> frozenset[str]:
    """Suffixes of the files that count as images, in lower case, as far as Pillow reads them."""
    lacking = {name for name, part in _NEEDED.items() if not features.check(part)}
    return frozenset(
        suffix for name, those in _FORMATS.items() if name not in lacking for suffix in those
    )


@contextmanager
def own_limits() -> Iterator[None]:
    """Set Pillow's limit of pixels to ours, and keep what it says of odd files to itself."""
    logger = logging.getLogger("PIL")
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, level = Image.MAX_IMAGE_PIXELS, logger.level
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow refuses twice as many
        logger.setLevel(logging.CRITICAL)
        try:
            Image.init()
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            logger.setLevel(level)


def read_image(file: Path, image_size: int | None, background: str) -> np.ndarray:
    """One image as uint8 [H, W, 3]; to be called within :func:`own_limits`.

    Raises:
        ImageError: Whatever is wrong with the file.
    """
    try:
        with _open(file) as opened:
            return _pixels(opened, image_size, background)
    except ImageError:
        raise
    except Exception as error:  # decoders raise all kinds
        raise broken(file, error) from error


def _open(file: Path) -> Image.Image:
    try:
        return Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except Exception as error:
        if isinstance(error, Image.DecompressionBombError) or not _starts_as_jpeg(file):
            raise
        # The list of further images that phones write may be damaged; the first one is a JPEG.
        return JpegImagePlugin.JpegImageFile(file)


def _starts_as_jpeg(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) == b"\xff\xd8"


def _pixels(opened: Image.Image, image_size: int | None, background: str) -> np.ndarray:
    if opened.width * opened.height > MOST_PIXELS:
        raise ImageError(
            f"is {opened.height}×{opened.width}, more than {MOST_PIXELS // 10**6} million pixels",
            "make it smaller",
        )
    if image_size is not None:
        # Of JPEG a half, quarter or eighth is decoded, while three times the size is left.
        opened.draft(None, (3 * image_size, 3 * image_size))
    large = opened.width * opened.height > _LARGE
    with _LARGE_ONES if large else nullcontext():
        opened.load()
        if opened.mode in _DEEP_MODES:
            raise ImageError("has more than 8 bits a channel", "convert it to 8")
        image = _upright(_opaque(opened, background), _orientation(opened))
        return np.asarray(image if image_size is None else _resized(image, image_size))


def _opaque(image: Image.Image, background: str) -> Image.Image:
    """The image in RGB, on the background where it is transparent."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layered = image.convert("RGBA")
    ground = Image.new("RGB", image.size, background)
    ground.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return ground


def _orientation(image: Image.Image) -> object:
    """The orientation tag; 1 where it cannot be read, whatever the other tags are."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of a broken block
        return 1


def _upright(image: Image.Image, orientation: object) -> Image.Image:
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _resized(image: Image.Image, size: int) -> Image.Image:
    """The centre square, resized; Pillow's bilinear filter always antialiases."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
