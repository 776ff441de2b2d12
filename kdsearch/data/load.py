"""The way from a source to a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from kdsearch.data.copies import refuse_copies
from kdsearch.data.dataset import Dataset, Split, check_labelled, check_split, scales_of
from kdsearch.data.draws import Draws, by_target
from kdsearch.data.labels import keep_labels
from kdsearch.data.sources.catalogue import Source, find_source
from kdsearch.data.sources.inventory import Inventory
from kdsearch.data.sources.raw import own_split, training_data
from kdsearch.data.sources.targets import measured
from kdsearch.data.sources.unlabelled import with_unlabelled
from kdsearch.data.views.random_streams import derive
from kdsearch.data.views.views import check_changes
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
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
        without: [M] places of the training samples that the source gave without any target.
    """

    name: str
    train: Split
    validation: Split | None
    test: Split
    problem: Problem
    inventory: Inventory | None
    without: Tensor

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that there are."""
        return tuple(each for each in (self.train, self.validation, self.test) if each is not None)


@dataclass(frozen=True)
class AsTarget:
    """That a source is the target domain beside another.

    Attributes:
        heads: The tasks, with the names that the source domain has; the target may have fewer of
            these, and takes them where it names none.
        untaught: Whether no target of its training samples is used, so that all may lack theirs
            where validation and test are its own.
    """

    heads: tuple[Head, ...]
    untaught: bool


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


def load_splits(
    section: DataSection,
    problem: Problem,
    validated: bool = True,
    target: AsTarget | None = None,
) -> LoadedSplits:
    """The splits of a source, as :func:`load_dataset` draws them.

    Args:
        section: The source.
        problem: What is predicted.
        validated: Whether a validation split is wanted. Else none is set aside, and one that the
            source has is left out.
        target: That it is the target domain, if it is.

    Raises:
        DataError: As :func:`load_dataset`.
    """
    source, where = find_source(section.source), section.source
    _refuse_unread(section, source)
    raw = source.load(section, problem)
    pool, problem = training_data(raw, where, problem, () if target is None else target.heads)
    pool = with_unlabelled(pool, raw, where, problem)
    test = own_split(raw, "test", pool, where, problem)
    validation = own_split(raw, "validation", pool, where, problem) if validated else None
    own = validation is not None and test is not None
    bare = own and target is not None and target.untaught
    check_split(pool, problem.heads, f"{where}'s training data", bare)
    for split, name in ((validation, "validation"), (test, "test")):
        if split is not None:
            check_split(split, problem.heads, f"{where}'s {name} data")
    check_changes(section.augment, pool)
    if section.strong_augment is not None:
        check_changes(section.strong_augment, pool, "data.strong_augment")
    draws = Draws(section, problem, sparse=target is not None)
    pool, test = draws.test(pool, test)
    if validated:
        train, validation = draws.validation(pool, validation)
    else:
        train = draws.limited(pool)
    check_split(train, problem.heads, f"{where}'s training data", bare)
    judged = {"validation": validation, "test": test}
    judging = {name: split for name, split in judged.items() if split is not None}
    for name, split in judging.items():
        check_split(split, problem.heads, f"{where}'s {name} data")
    for name, split in judging.items():
        check_labelled(split, problem, f"{where}'s {name} data")
    without = by_target(train, problem)[1]
    refuse_copies(train, without, judging.values())
    train = keep_labels(train, section.labels, derive(section.seed, "labels"), problem)
    _check_weights(train, problem, where)
    unweighted = {name: replace(split, weights=None) for name, split in judging.items()}
    return LoadedSplits(
        where,
        train,
        unweighted.get("validation"),
        unweighted["test"],
        problem,
        raw.inventory,
        without,
    )


def _check_weights(train: Split, problem: Problem, where: str) -> None:
    known = problem.known(train.targets)
    if train.weights is None or not bool(known.any()) or bool(train.weights[known].any()):
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
