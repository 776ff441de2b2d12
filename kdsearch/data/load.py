"""The way from a source to a data set."""

from __future__ import annotations

from dataclasses import replace

from kdsearch.data.dataset import Dataset, Split, channel_statistics, check_split
from kdsearch.data.sources.catalogue import Source, find_source
from kdsearch.data.sources.raw import as_splits, own_validation
from kdsearch.data.split import draw_limit, draw_share
from kdsearch.data.views.augment import check_augmentation
from kdsearch.data.views.random_streams import derive
from kdsearch.errors import DataError
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection


def load_dataset(section: DataSection, problem: Problem | None = None) -> Dataset:
    """Load a source, split it class by class, and measure it.

    The test is the source's own, else the share ``test``. Of what is left, ``limit`` samples are
    kept and the share ``validation`` of these is set aside; where the source has a validation
    split of its own, ``limit`` keeps the same share of both. Each draw is a pure function of
    labels and ``section.seed``. Mean and deviation are those of the training split alone, and
    only it has the samples' weights.

    Raises:
        DataError: The source is unknown, missing or broken, does not read a setting that is
            given, has a class that is too small to split, or weights that are all 0.
    """
    source = find_source(section.source)
    _refuse_unread(section, source)
    raw = source.load(section)
    pool, test, classes = as_splits(raw, section.source)
    validation = own_validation(raw, pool, section.source)
    check_split(pool, len(classes), f"{section.source}'s training data")
    check_augmentation(section.augment, pool.images.shape[1:])
    pool, test = _set_test_aside(section, pool, test, classes)
    check_split(test, len(classes), f"{section.source}'s test data")
    if validation is None:
        train, validation = _set_validation_aside(section, pool, classes)
    else:
        check_split(validation, len(classes), f"{section.source}'s validation data")
        train, validation = _limit_both(section, pool, validation, classes)
    _check_weights(train, section.source)
    validation, test = (replace(split, weights=None) for split in (validation, test))
    mean, std = channel_statistics(train)
    inventory, problem = raw.inventory, problem or Problem()
    return Dataset(section.source, train, validation, test, classes, mean, std, inventory, problem)


def _check_weights(train: Split, where: str) -> None:
    if train.weights is not None and not bool(train.weights.any()):
        raise DataError(
            f"{where}: all training samples have the weight 0; give some a weight above 0"
        )


def _refuse_unread(section: DataSection, source: Source) -> None:
    for name in ("root", "table", "download", "image_size", "background", "options"):
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
