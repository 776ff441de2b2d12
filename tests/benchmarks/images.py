"""The images of the benchmarks: noise, or those of an archive, as a source of kdsearch."""

from __future__ import annotations

import io
import zipfile
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kdsearch.data import RawData


def noise(samples: int, shape: tuple[int, int, int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise, uint8 [samples, C, H, W], and labels that are spread evenly.

    What a training takes does not depend on what is in the images.
    """
    images = np.random.default_rng(0).integers(0, 256, (samples, *shape), dtype=np.uint8)
    return images, np.arange(samples) % classes


def from_archive(archive: Path, samples: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class of a zip of ``…/train/CLASS/*`` and ``…/test/CLASS/*``.

    Args:
        archive: The file.
        samples: Images of all classes together.
        split: ``train`` or ``test``.

    Returns:
        uint8 [samples, C, H, W] and labels [samples], the classes in turn.
    """
    with zipfile.ZipFile(archive) as opened:
        files = [n for n in opened.namelist() if f"/{split}/" in n and not n.endswith("/")]
        names = sorted({file.split("/")[-2] for file in files})
        of_class = [sorted(f for f in files if f.split("/")[-2] == name) for name in names]
        labels = np.arange(samples) % len(names)
        chosen = [of_class[label][place // len(names)] for place, label in enumerate(labels)]
        images = [np.asarray(Image.open(io.BytesIO(opened.read(file)))) for file in chosen]
    return np.stack(images).transpose(0, 3, 1, 2).copy(), labels


def load(
    samples: int, test: int, shape: Sequence[int], classes: int, archive: str | None = None
) -> RawData:
    """A source of kdsearch: images of an archive, or noise.

    Args:
        samples: Training and validation samples together.
        test: Test images.
        shape: (channels, height, width) of the noise.
        classes: Classes of the noise.
        archive: A zip as :func:`from_archive` reads it; its images take the place of the noise.
    """
    if archive is not None:
        file = Path(archive)
        return RawData(*from_archive(file, samples, "train"), *from_archive(file, test, "test"))
    images, labels = noise(samples + test, (shape[0], shape[1], shape[2]), classes)
    # copies, since a view of a few images would keep them all in memory
    parts = (images[:samples].copy(), labels[:samples], images[samples:].copy(), labels[samples:])
    return RawData(*parts)


def data_of(place: Path, samples: int, test: int) -> dict[str, Any]:
    """The section ``data``: CIFAR-10 of an archive, Fashion-MNIST of a folder.

    Args:
        place: As :func:`takes_images` adds it to a command line.
        samples: Training and validation samples together.
        test: Test images of CIFAR-10.
    """
    if place.is_dir():
        augment = {"crop": 2, "flip": True}
        return {
            "source": "fashion_mnist",
            "root": str(place),
            "limit": samples,
            "augment": augment,
        }
    options = {"samples": samples, "test": test, "shape": (3, 32, 32)}
    options |= {"classes": 10, "archive": str(place)}
    return {"source": "images:load", "options": options, "augment": {"crop": 4, "flip": True}}


def takes_images(parser: ArgumentParser) -> None:
    """Add the place of the images that :func:`data_of` reads; it must be there."""
    help_text = "a folder with FashionMNIST/raw, or the archive"
    parser.add_argument("data", type=_there, help=help_text)


def _there(name: str) -> Path:
    place = Path(name)
    if not place.exists():
        raise ArgumentTypeError(f"there is nothing at {name}; give the folder or the archive")
    return place
