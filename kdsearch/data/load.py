"""The way from a source to a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kdsearch.data.copies import refuse_copies
from kdsearch.data.dataset import Dataset, Split, check_labelled, check_split, scales_of
from kdsearch.data.labels import keep_labels
from kdsearch.data.sources.catalogue import Source, find_source
from kdsearch.data.sources.inventory import Inventory
from kdsearch.data.sources.raw import own_split, training_data
from kdsearch.data.sources.targets import measured
from kdsearch.data.sources.unlabelled import with_unlabelled
from kdsearch.data.split import draw_any, draw_limit, draw_share, strata
from kdsearch.data.views.random_streams import derive
from kdsearch.data.views.views import check_changes
from kdsearch.errors import DataError
from kdsearch.problems import Problem
from kdsearch.spec.sections import DataSection


@dataclass(frozen=True)
class LoadedSplits:
    """What a source gives, before anything is measured on it.

    Attributes:
        name: What the spec calls the source.
        train: Its training split.
        validation: Its validation split; ``None`` where none was asked for.
        test: Its test split.
        problem: What is predicted, with the names of the classes.
        inventory: The files that it was read from, of sources that name them.
    """

    name: str
    train: Split
    validation: Split | None
    test: Split
    problem: Problem
    inventory: Inventory | None


def load_dataset(section: DataSection, problem: Problem | None = None) -> Dataset:
    """Load a source, split it class by class, and measure it.

    The test is the source's own, else the share ``test``. Of what is left, ``limit`` samples are
    kept and the share ``validation`` of these is set aside; where the source has a validation
    split of its own, ``limit`` keeps the same share of both. Each draw is a pure function of
    labels and ``section.seed``. Mean and deviation are those of the training split alone, and
    only it has the samples' weights. At last ``labels`` says which training samples keep their
    targets.

    Samples without any target, those of ``unlabelled`` among them, stay in the training split:
    ``test`` and ``validation`` are shares of the others, and ``limit`` keeps the same share of both
    kinds, though at least two samples of each class.

    Raises:
        DataError: The source is unknown, missing or broken, does not read a setting that is
            given, has a class that is too small to split, weights that are all 0, a validation or
            test sample without any target, or a sample without one that is a copy of such.
    """
    found = load_splits(section, problem or Problem())
    assert found.validation is not None
    return Dataset(
        name=found.name,
        train=found.train,
        validation=found.validation,
        test=found.test,
        scales=scales_of(found.train),
        inventory=found.inventory,
        problem=found.problem.with_heads(measured(found.train, found.problem.heads)),
    )


def load_splits(section: DataSection, problem: Problem, validated: bool = True) -> LoadedSplits:
    """The splits of a source, as :func:`load_dataset` draws them.

    Args:
        section: The source.
        problem: What is predicted.
        validated: Whether a validation split is wanted. Else none is set aside, and one that the
            source has is left out.

    Raises:
        DataError: As :func:`load_dataset`.
    """
    source, where = find_source(section.source), section.source
    _refuse_unread(section, source)
    raw = source.load(section, problem)
    pool, problem = training_data(raw, where, problem)
    pool = with_unlabelled(pool, raw, where, problem)
    test = own_split(raw, "test", pool, where, problem)
    validation = own_split(raw, "validation", pool, where, problem) if validated else None
    check_split(pool, problem.heads, f"{where}'s training data")
    for split, name in ((validation, "validation"), (test, "test")):
        if split is not None:
            check_split(split, problem.heads, f"{where}'s {name} data")
    check_changes(section.augment, pool)
    if section.strong_augment is not None:
        check_changes(section.strong_augment, pool, "data.strong_augment")
    pool, test = _set_test_aside(section, pool, test, problem)
    train = pool
    if validation is not None:
        train, validation = _limit_both(section, pool, validation, problem)
    elif validated:
        train, validation = _set_validation_aside(section, pool, problem)
    elif section.limit is not None:
        train = _limited(pool, section.limit, derive(section.seed, "limit"), problem)
    check_split(train, problem.heads, f"{where}'s training data")
    judged = {"validation": validation, "test": test}
    judging = {name: split for name, split in judged.items() if split is not None}
    for name, split in judging.items():
        check_split(split, problem.heads, f"{where}'s {name} data")
    for name, split in judging.items():
        check_labelled(split, problem, f"{where}'s {name} data")
    refuse_copies(train, judging.values(), problem)
    train = keep_labels(train, section.labels, derive(section.seed, "labels"), problem)
    _check_weights(train, problem, where)
    unweighted = {name: replace(split, weights=None) for name, split in judging.items()}
    return LoadedSplits(
        where, train, unweighted.get("validation"), unweighted["test"], problem, raw.inventory
    )


def _check_weights(train: Split, problem: Problem, where: str) -> None:
    if train.weights is None or bool(train.weights[problem.known(train.targets)].any()):
        return
    raise DataError(f"{where}: all training samples have the weight 0; give some a weight above 0")


def _refuse_unread(section: DataSection, source: Source) -> None:
    for name in (
        "root",
        "table",
        "unlabelled",
        "download",
        "image_size",
        "background",
        "options",
    ):
        given = getattr(section, name) != DataSection.model_fields[name].default
        if given and name not in source.settings:
            raise DataError(f"data.{name} has no effect on the source {section.source}; remove it")


def _set_test_aside(
    section: DataSection, pool: Split, test: Split | None, problem: Problem
) -> tuple[Split, Split]:
    if test is not None:
        return pool, test
    return _set_aside(pool, section.test, derive(section.seed, "test"), problem, keep=2)


def _set_validation_aside(
    section: DataSection, pool: Split, problem: Problem
) -> tuple[Split, Split]:
    if section.limit is not None:
        pool = _limited(pool, section.limit, derive(section.seed, "limit"), problem)
    return _set_aside(pool, section.validation, derive(section.seed, "validation"), problem)


def _set_aside(
    pool: Split, share: float, seed: int, problem: Problem, keep: int = 1
) -> tuple[Split, Split]:
    """What is left, and the share of the samples with a target that is set aside."""
    labels, classes = strata(pool, problem)
    able, without = _by_target(pool, problem)
    left, drawn = draw_share(labels[able], share, seed, classes, keep=keep)
    return pool.take(torch.cat([able[left], without]).sort().values), pool.take(able[drawn])


def _limited(pool: Split, limit: int, seed: int, problem: Problem) -> Split:
    """At most ``limit`` samples, of those with and without a target the same share."""
    labels, classes = strata(pool, problem)
    able, without = _by_target(pool, problem)
    most = max(round(limit * len(able) / len(pool)), min(limit, 2 * len(classes)))
    kept = able[draw_limit(labels[able], most, seed, classes)]
    others = draw_any(len(without), limit - len(kept), derive(seed, "without a target"))
    return pool.take(torch.cat([kept, without[others]]).sort().values)


def _by_target(split: Split, problem: Problem) -> tuple[Tensor, Tensor]:
    """Places of the samples that have some target, and of those that have none, ascending."""
    known = problem.known(split.targets)
    return known.nonzero().flatten(), (~known).nonzero().flatten()


def _limit_both(
    section: DataSection, train: Split, validation: Split, problem: Problem
) -> tuple[Split, Split]:
    """Training and validation data of the source's own, at most ``limit`` of them together."""
    if section.limit is None:
        return train, validation
    share = len(train) / (len(train) + len(validation))
    kept = []
    for split, name, part in ((train, "limit", share), (validation, "limit validation", 1 - share)):
        _, classes = strata(split, problem)
        most = max(round(section.limit * part), 2 * len(classes))
        kept.append(_limited(split, most, derive(section.seed, name), problem))
    return kept[0], kept[1]
