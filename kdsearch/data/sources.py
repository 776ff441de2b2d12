"""Where images come from, and the way from a source to a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from kdsearch.data.augment import check_augmentation
from kdsearch.data.custom import GROUP, is_custom, load_custom
from kdsearch.data.dataset import Dataset, Split, channel_statistics, check_split
from kdsearch.data.image_folder import load_image_folder
from kdsearch.data.random_streams import derive
from kdsearch.data.raw import RawData, as_splits, own_validation
from kdsearch.data.split import draw_limit, draw_share
from kdsearch.data.torchvision_files import load_torchvision
from kdsearch.errors import DataError
from kdsearch.plugins import installed
from kdsearch.spec.names import suggest
from kdsearch.spec.sections import DataSection


@dataclass(frozen=True)
class Source:
    """A place that images come from.

    Attributes:
        about: What it holds, in a few words.
        load: Reads it; raises :class:`~kdsearch.errors.DataError` if it cannot.
        settings: Those of ``root``, ``download``, ``image_size``, ``background`` and ``options``
            that it reads.
    """

    about: str
    load: Callable[[DataSection], RawData]
    settings: frozenset[str] = frozenset()


def _load_digits(_: DataSection) -> RawData:
    # Imported late: a worker that is handed its data set never pays for the import.
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)
    return RawData(images, scans.target, classes=tuple(str(name) for name in scans.target_names))


def _torchvision(about: str, name: str, folder: str) -> Source:
    return Source(about, partial(load_torchvision, name, folder), frozenset({"root", "download"}))


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "digits": Source("1,797 scans of digits, 8×8 grey, part of scikit-learn", _load_digits),
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
            load_image_folder,
            frozenset({"root", "image_size", "background"}),
        ),
    }
)
"""Every built-in source by its name in the spec."""

_CUSTOM = Source("a function of the user's own", load_custom, frozenset({"options"}))


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


def load_dataset(section: DataSection) -> Dataset:
    """Load a source, split it class by class, and measure it.

    The test is the source's own, else the share ``test``. Of what is left, ``limit`` samples are
    kept and the share ``validation`` of these is set aside; where the source has a validation
    split of its own, ``limit`` keeps the same share of both. Each draw is a pure function of
    labels and ``section.seed``. Mean and deviation are those of the training split alone.

    Raises:
        DataError: The source is unknown, missing or broken, does not read a setting that is
            given, or has a class that is too small to split.
    """
    source = find_source(section.source)
    _refuse_unread(section, source)
    raw = source.load(section)
    pool, test, classes = as_splits(raw, section.source)
    validation = own_validation(raw, pool, section.source)
    check_split(pool, len(classes), f"{section.source}'s training data")
    check_augmentation(section.augment, pool.images.shape[2:])
    pool, test = _set_test_aside(section, pool, test, classes)
    check_split(test, len(classes), f"{section.source}'s test data")
    if validation is None:
        train, validation = _set_validation_aside(section, pool, classes)
    else:
        check_split(validation, len(classes), f"{section.source}'s validation data")
        train, validation = _limit_both(section, pool, validation, classes)
    mean, std = channel_statistics(train)
    return Dataset(section.source, train, validation, test, classes, mean, std, raw.inventory)


def _refuse_unread(section: DataSection, source: Source) -> None:
    for name in ("root", "download", "image_size", "background", "options"):
        given = getattr(section, name) != DataSection.model_fields[name].default
        if given and name not in source.settings:
            raise DataError(f"data.{name} has no effect on the source {section.source}; remove it")


def _set_test_aside(
    section: DataSection, pool: Split, test: Split | None, classes: tuple[str, ...]
) -> tuple[Split, Split]:
    if test is not None:
        return pool, test
    seed = derive(section.seed, "test")
    left, drawn = draw_share(pool.labels, section.test, seed, classes, keep=2)
    return pool.take(left), pool.take(drawn)


def _set_validation_aside(
    section: DataSection, pool: Split, classes: tuple[str, ...]
) -> tuple[Split, Split]:
    if section.limit is not None:
        limit_seed = derive(section.seed, "limit")
        pool = pool.take(draw_limit(pool.labels, section.limit, limit_seed, classes))
    seed = derive(section.seed, "validation")
    left, drawn = draw_share(pool.labels, section.validation, seed, classes)
    return pool.take(left), pool.take(drawn)


def _limit_both(
    section: DataSection, train: Split, validation: Split, classes: tuple[str, ...]
) -> tuple[Split, Split]:
    """Training and validation data of the source's own, at most ``limit`` of them together."""
    if section.limit is None:
        return train, validation
    share = len(train) / (len(train) + len(validation))
    kept = []
    for split, name, part in ((train, "limit", share), (validation, "limit validation", 1 - share)):
        most = max(round(section.limit * part), 2 * len(classes))
        index = draw_limit(split.labels, most, derive(section.seed, name), classes)
        kept.append(split.take(index))
    return kept[0], kept[1]
