"""A folder of some 2,000 small images with the kinds of trouble that real folders have."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PLAIN = {"ant": 900, "bee": 600, "cow": 300}
"""Images without any trouble in train/ of each class."""


def write(file: Path, pixels: np.ndarray, **options: object) -> Path:
    """Write an image, its folders made as needed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, **options)
    return file


def odd_folder(root: Path) -> Path:
    """``Train/``, ``val/`` and ``Testing/`` of four classes, one with a name that is not UTF-8."""
    generator = np.random.default_rng(0)
    last = os.fsdecode(b"d\xf6g")

    def noise() -> np.ndarray:
        return generator.integers(0, 256, (8, 9, 3), dtype=np.uint8)

    for name, count in (PLAIN | {last: 80}).items():
        for number in range(count):
            write(root / "Train" / name / f"{number:04}.bmp", noise())
        for number in range(20):
            write(root / "val" / name / f"{number}.png", noise())
            write(root / "Testing" / name / f"{number}.jpg", noise())
    _readable(root / "Train" / "ant", noise())
    _left_out(root / "Train" / "bee", noise())
    _foreign(root, noise())
    return root


def break_some(root: Path, count: int) -> None:
    """Tear some of the images."""
    for file in sorted((root / "Train" / "cow").iterdir())[:count]:
        file.write_bytes(file.read_bytes()[:40])


def _readable(folder: Path, pixels: np.ndarray) -> None:
    """Odd images that are read all the same."""
    image = Image.fromarray(pixels)
    for suffix in ("tif", "tiff", "jfif", "jpe", "gif", "webp", "avif", "JPG", "ppm"):
        form = "JPEG" if suffix in ("jfif", "jpe", "JPG") else None
        image.save(folder / f"suffix.{suffix}", form)
    frames = [image, image.rotate(90, expand=True)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    icon = Image.new("RGBA", (9, 8), (0, 0, 0, 0))
    ImageDraw.Draw(icon).line((0, 0, 8, 7), fill=(0, 0, 0, 255))
    icon.save(folder / "icon.png")
    icon.convert("LA").save(folder / "grey_icon.png")
    icon.quantize(8).save(folder / "palette_icon.png")
    image.save(folder / "exif.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.convert("1").save(folder / "bits.png")
    (folder / "deeper" / "still").mkdir(parents=True)
    image.save(folder / "deeper" / "still" / "a.png")
    (folder / "link.png").symlink_to(folder / "suffix.gif")


def _left_out(folder: Path, pixels: np.ndarray) -> None:
    """Files of a class that are no images, or none that are read."""
    for name in ("a.heic", "b.HEIC", "c.svg", "notes.txt", "labels.csv", "IMG_0001"):
        (folder / name).write_bytes(b"something")
    write(folder / ".hidden.png", pixels)
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "round").symlink_to(folder)


def _foreign(root: Path, pixels: np.ndarray) -> None:
    """What systems put among one's own folders."""
    for number in range(30):
        write(root / "Train" / "ant" / "@eaDir" / f"{number}.jpg", pixels)
    write(root / "Train" / "@eaDir" / "thumbnail.jpg", pixels)
    write(root / "__MACOSX" / "Train" / "._0000.png", pixels)
    (root / "Train" / "lost+found").mkdir()
    (root / "Train" / ".ipynb_checkpoints").mkdir()
    (root / ".DS_Store").write_bytes(b"x")
    (root / "README.md").write_text("about")
    write(root / "Train" / "loose.png", pixels)
