"""Every source of data by its name in the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from kdsearch.data.sources.custom import GROUP, is_custom, load_custom
from kdsearch.data.sources.image_folder import load_image_folder
from kdsearch.data.sources.raw import RawData
from kdsearch.data.sources.table.load import load_table
from kdsearch.data.sources.torchvision_files import load_torchvision
from kdsearch.errors import DataError
from kdsearch.plugins import installed
from kdsearch.problems import Problem
from kdsearch.spec.names import suggest
from kdsearch.spec.sections import DataSection


@dataclass(frozen=True)
class Source:
    """A place that images come from.

    Attributes:
        about: What it holds, in a few words.
        load: Reads it for the tasks of a problem; raises :class:`~kdsearch.errors.DataError` if it
            cannot.
        settings: Those of ``root``, ``table``, ``unlabelled``, ``download``, ``image_size``,
            ``background`` and ``options`` that it reads.
    """

    about: str
    load: Callable[[DataSection, Problem], RawData]
    settings: frozenset[str] = frozenset()


def _load_digits(*_: DataSection | Problem) -> RawData:
    # Imported late: a worker that is handed its data set never pays for the import.
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    targets = {
        "digit": scans.target,
        "parity": scans.target % 2,
        "ink": scans.images.mean(axis=(1, 2)) * (100 / 16),  # percent of the area's blackness
    }
    names = {"digit": tuple(map(str, scans.target_names)), "parity": ("even", "odd")}
    return RawData(images, targets, classes=names)


def _alone(load: Callable[[DataSection], RawData]) -> Callable[[DataSection, Problem], RawData]:
    """A source that has its targets whatever the tasks are."""
    return lambda section, _: load(section)


def _torchvision(about: str, name: str, folder: str) -> Source:
    return Source(
        about, _alone(partial(load_torchvision, name, folder)), frozenset({"root", "download"})
    )


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "digits": Source(
            "1,797 scans, 8×8 grey, of scikit-learn, with digit, parity and ink (%)", _load_digits
        ),
        "mnist": _torchvision("70,000 digits, 28×28 grey", "MNIST", "MNIST/raw"),
        "fashion_mnist": _torchvision(
            "70,000 images of clothes, 28×28 grey", "FashionMNIST", "FashionMNIST/raw"
        ),
        "cifar10": _torchvision(
            "60,000 images in 10 classes, 32×32 RGB", "CIFAR10", "cifar-10-batches-py"
        ),
        "cifar100": _torchvision(
            "60,000 images in 100 classes, 32×32 RGB", "CIFAR100", "cifar-100-python"
        ),
        "image_folder": Source(
            "a folder of images for each class, with or without train/, val/ and test/ above them",
            _alone(load_image_folder),
            frozenset({"root", "unlabelled", "image_size", "background"}),
        ),
        "table": Source(
            "a CSV, TSV, JSONL or Parquet file with a row for each sample",
            load_table,
            frozenset({"root", "table", "unlabelled", "image_size", "background"}),
        ),
    }
)
"""Every built-in source by its name in the spec."""

_CUSTOM = Source("a function of the user's own", _alone(load_custom), frozenset({"options"}))


def find_source(name: str) -> Source:
    """The source that the spec calls ``name``.

    Raises:
        DataError: No source has the name and it is not ``module:function`` either.
    """
    if name in SOURCES:
        return SOURCES[name]
    if is_custom(name):
        return _CUSTOM
    raise DataError(
        f"unknown source '{name}'; {suggest(name, [*SOURCES, *installed(GROUP)])} "
        "(a source of your own is written module:function)"
    )
