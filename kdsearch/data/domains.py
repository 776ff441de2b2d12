"""The data of a study with a target domain: what its students learn from, and are judged by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.data.column import joined
from kdsearch.data.copies import refuse_copies
from kdsearch.data.dataset import Dataset, Split, scales_of
from kdsearch.data.feeds.memory import beside_domain, check_second_domain, no_room
from kdsearch.data.labels import missing
from kdsearch.data.load import AsTarget, LoadedSplits, load_dataset, load_splits
from kdsearch.data.sources.catalogue import find_source
from kdsearch.data.sources.raw import like_training
from kdsearch.data.sources.targets import measured
from kdsearch.errors import DataError
from kdsearch.problems import Head, Problem
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.augmentation import Augmentation
from kdsearch.spec.sections import DataSection, SourceSection, TargetSection
from kdsearch.spec.study import StudySpec

_SHOWN = 5


def load_study_data(spec: StudySpec) -> Dataset:
    """The data set of a study, of one domain or of two.

    Raises:
        SpecError: A metric is not known.
        DataError: As :func:`~kdsearch.data.load.load_dataset` and :func:`load_domains`.
    """
    problem = Problem.of(spec)
    if spec.target is None:
        return load_dataset(spec.data, problem)
    return load_domains(spec.data, spec.target, problem)


def load_domains(data: DataSection, target: TargetSection, problem: Problem) -> Dataset:
    """The source and the target domain as one data set.

    The training split holds the samples of both, the source's first, of which the target's keep as
    many targets as ``target.labels`` says. Validation and test are the target's, ``source_test`` is
    the source's. Inputs are normalised by the mean and deviation of the source's training samples
    alone, so that a network that is not adapted knows nothing of the target.

    Raises:
        DataError: As :func:`~kdsearch.data.load.load_dataset` for either, inputs that are not
            alike, a class or label of the target that the source has not, a sample without a
            target that is a copy of one by which students are judged in the other domain, or
            samples of both that take more than half of the memory.
    """
    source, found = _both_domains(data, target, problem)
    _check_names(source, found)
    assert found.validation is not None
    train, validation, test = (
        _like_source(split, found, source) for split in (found.train, found.validation, found.test)
    )
    _refuse_copies(source, replace(found, train=train, validation=validation, test=test))
    if target.labels == 0:
        gone = {head.name: missing(head, len(train)) for head in source.problem.heads}
        train = replace(train, targets=gone)
    whole = _both(source.train, train)
    return Dataset(
        name=f"{source.name} → {found.name}",
        train=whole,
        validation=validation,
        test=test,
        scales=scales_of(source.train),
        inventory=source.inventory,
        problem=source.problem.with_heads(measured(whole, source.problem.heads)),
        source_test=source.test,
        target_inventory=found.inventory,
    )


def _both_domains(
    data: DataSection, target: TargetSection, problem: Problem
) -> tuple[LoadedSplits, LoadedSplits]:
    """The splits of the source and of the target, together in half of the memory."""
    own, other = _as_read(data, target)
    sized = _reads_size(data) and _reads_size(target)
    source = load_splits(own, problem, validated=False)
    try:
        _check_mapped(source, sized)
        with beside_domain(_nbytes(source), sized):
            found = load_splits(
                other, problem, target=AsTarget(source.problem.heads, target.labels == 0)
            )
            check_second_domain(_nbytes(found))
        _check_mapped(found, sized)
    except DataError as error:
        raise DataError(of_target(str(error))) from error
    return source, found


def _check_mapped(domain: LoadedSplits, sized: bool) -> None:
    """Refuse images that stay in a file: those of both domains are joined in memory."""
    if any(split.mapped for split in domain.splits):
        raise no_room(sized)


def _nbytes(domain: LoadedSplits) -> int:
    return sum(split.nbytes for split in domain.splits)


def of_target(reason: str) -> str:
    """What is wrong with the target, with its settings called so."""
    own = "|".join(TargetSection.model_fields)
    told, changed = re.subn(rf"\bdata\.(?=(?:{own})\b)", "target.", reason)
    return told if changed else f"target: {reason}"


def _as_read(data: DataSection, target: TargetSection) -> tuple[DataSection, DataSection]:
    """Both as sections of one kind; ``image_size`` is for those that read it, if any does."""
    given = {name: getattr(target, name) for name in SourceSection.model_fields}
    labels = None if target.labels in (0, "all") else target.labels
    plain = {"augment": Augmentation(), "strong_augment": None}
    other = data.model_copy(update={**given, **plain, "labels": labels})
    reads = [_reads_size(each) for each in (data, target)]
    if not any(reads):
        return data, other
    sized = zip((data, other), reads, strict=True)
    first, second = (
        each if read else each.model_copy(update={"image_size": None}) for each, read in sized
    )
    return first, second


def _reads_size(section: SourceSection) -> bool:
    return "image_size" in find_source(section.source).settings


def _refuse_copies(source: LoadedSplits, target: LoadedSplits) -> None:
    """Refuse samples without a target that are copies of those that judge in the other domain."""
    assert target.validation is not None
    judging = (target.validation, target.test)
    told = "validation or test samples of the target"
    refuse_copies(source.train, source.without, judging, told, "data: ")
    told = "test samples of the source"
    refuse_copies(target.train, target.without, (source.test,), told, "target: ")


def _check_names(source: LoadedSplits, target: LoadedSplits) -> None:
    """Refuse classes and labels of the target that the source does not have."""
    for head, other in zip(source.problem.heads, target.problem.heads, strict=True):
        unknown = [name for name in other.names if name not in head.names]
        if unknown:
            what = "labels" if head.kind == "labels" else "classes"
            raise DataError(
                f"target: {target.name} has the {what} {_listed(unknown)}, which {source.name} has "
                f"not (it has {_listed(head.names)}); give them the same names, or leave these out"
            )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _like_source(split: Split, own: LoadedSplits, source: LoadedSplits) -> Split:
    """A split of the target with inputs and targets in the order of the source's."""
    heads = zip(own.problem.heads, source.problem.heads, strict=True)
    between = f"target: between {source.name} and {own.name}, the study"
    return replace(
        split,
        inputs=like_training(split.inputs, source.train, "target", between),
        targets={to.name: _renumbered(split.targets[to.name], of, to) for of, to in heads},
    )


def _renumbered(targets: Tensor, of: Head, to: Head) -> Tensor:
    """Targets [N] or [N, K] of a task by the order of its names in another data set."""
    if to.kind == "value":
        return targets
    places = torch.tensor([to.names.index(name) for name in of.names])
    if to.kind == "class":
        return torch.where(targets == MISSING_CLASS, MISSING_CLASS, places[targets.clamp(min=0)])
    found = missing(to, len(targets))
    found[:, places] = targets
    return found


def _both(source: Split, target: Split) -> Split:
    """The samples of both domains, the source's first."""
    counts = (len(source), len(target))
    return Split(
        inputs={
            name: joined(each, target.inputs[name], "target")
            for name, each in source.inputs.items()
        },
        targets={
            name: torch.cat([each, target.targets[name]]) for name, each in source.targets.items()
        },
        weights=_weights(source, target),
        domain=torch.arange(sum(counts)) >= counts[0],
    )


def _weights(source: Split, target: Split) -> Tensor | None:
    """The weights of both; samples of a domain without any count once."""
    if source.weights is None and target.weights is None:
        return None
    return torch.cat(list(_each_weights(source, target)))


def _each_weights(*splits: Split) -> Iterator[Tensor]:
    for split in splits:
        yield torch.ones(len(split)) if split.weights is None else split.weights
