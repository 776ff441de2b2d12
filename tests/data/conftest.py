"""Small data sets that the tests make themselves, and the place of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data import Dataset, MappedImages, Scale, Split
from kdsearch.problems import Problem

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip("the folder with the real data sets is not there")
    return REAL_DATA


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """A split of random images; labels run through the classes in turn."""

    def make(samples: int = 37, channels: int = 3, side: int = 9, classes: int = 4) -> Split:
        generator = np.random.default_rng(samples + channels)
        pixels = generator.integers(0, 256, (samples, channels, side, side + 2), dtype=np.uint8)
        return Split.of_classes(torch.from_numpy(pixels), torch.arange(samples) % classes)

    return make


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[[Split], Split]:
    """The same split with its images in a file, in another order there, among others."""

    def write(split: Split) -> Split:
        images = split.images.numpy()
        rows = torch.arange(len(split)).flip(0) * 2 + 1
        pool = np.full((2 * len(split) + 1, *images.shape[1:]), 111, np.uint8)
        pool[rows.numpy()] = images
        file = tmp_path / f"{len(split)}.npy"
        np.save(file, pool)
        return Split.of_classes(MappedImages(file, rows), split.labels)

    return write


@pytest.fixture
def small_dataset(make_split: Callable[..., Split]) -> Dataset:
    train, validation, test = make_split(20), make_split(9), make_split(11)
    problem = Problem.of_classes("abcd")
    scales = {"image": Scale((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))}
    return Dataset("small", train, validation, test, scales, problem=problem)


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Writes an array [H, W] or [H, W, 3] as an image, its folders made as needed."""

    def write(file: Path, pixels: np.ndarray, **options: object) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, **options)
        return file

    return write
