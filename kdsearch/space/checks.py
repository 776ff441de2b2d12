"""Everything about a study that can be checked before anything is written or trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

from kdsearch.data import Dataset, load_study_data
from kdsearch.errors import CheckpointError, DataError, ModelError
from kdsearch.graphs.cores import reserved_core
from kdsearch.graphs.stopwatch import Stopwatch
from kdsearch.methods import UNDISTILLED, needs_teacher
from kdsearch.models import Size, blueprint
from kdsearch.results.cost import trial_lengths
from kdsearch.results.resume import Inputs
from kdsearch.space.adapting_checks import check_adapting_methods
from kdsearch.space.architectures import Architectures
from kdsearch.space.chains import Chain
from kdsearch.space.class_checks import (
    check_class_weights,
    check_stands_for,
    check_top_k,
    trainings,
)
from kdsearch.space.compatibility import Pairs, corners, every_start, who_teaches
from kdsearch.space.domain_checks import check_domain_settings
from kdsearch.space.fine_tuning_checks import check_fine_tuning
from kdsearch.space.fitting import find_fitting
from kdsearch.space.initial_checks import check_cuts, check_initial
from kdsearch.space.label_checks import check_unlabelled_methods, check_unlabelled_ratio
from kdsearch.space.label_values import check_methods, check_ways
from kdsearch.space.ladder_checks import find_chains
from kdsearch.space.space import Space
from kdsearch.space.strong_checks import check_strong_methods, check_strong_views
from kdsearch.space.teaching_checks import check_teaching
from kdsearch.space.try_out import TryOut
from kdsearch.space.warm_start import past_fronts, warm_start_proposals
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.searching import FILE_SIZES
from kdsearch.spec.sections import DataSection, TargetSection
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import teacher_path
from kdsearch.training.teacher_store import StoredTeacher, given_teacher

_SETTING = r"^(?:the data have no (input) |(image_size|normalise)\b|.*\b(depth|width)\b)"
"""The setting of a network that a reason names."""


@dataclass(frozen=True)
class Plan:
    """A study that has passed every check.

    Attributes:
        data: The data set, loaded and split.
        space: What may be proposed.
        teacher_sizes: Size of each teacher, by name.
        given_teachers: The teachers whose ``checkpoint`` is given, by name.
        past: Parameters that the studies of ``warm_start`` found good, to be tried first.
        warnings: What is odd about the networks, in sentences.
        chains: The chains of sizes, where the strategy is ``ladder``.
    """

    spec: StudySpec
    data: Dataset
    space: Space
    architectures: Architectures
    teacher_sizes: dict[str, Size]
    given_teachers: dict[str, StoredTeacher]
    past: list[dict[str, Any]]
    warnings: list[str]
    chains: list[Chain]


def make_plan(
    spec: StudySpec,
    begun: Inputs | None = None,
    told: Callable[[str], None] = lambda step: None,
) -> Plan:
    """Check a study: names, ranges, data, architectures, pairs, sizes, checkpoints, a few steps.

    Args:
        spec: The search-space file.
        begun: What the study was made from when it began, if it is to go on: then what the studies
            of ``warm_start`` gave, and chains of sizes, are those of then.
        told: Is told of each step that takes a while, when it begins.

    Raises:
        SpecError: A value of the file cannot work; the message gives its line.
        DataError: The data set is missing or is not what it should be.
        CheckpointError: The teacher's checkpoint does not fit.
    """
    check_methods(spec)
    check_ways(spec)
    check_teaching(spec)
    check_domain_settings(spec)
    check_strong_views(spec)
    told("loading the data")
    data = _load_data(spec)
    _check_batches(spec, data)
    check_strong_methods(spec, data)
    check_unlabelled_ratio(spec, data)
    check_unlabelled_methods(spec, data)
    check_adapting_methods(spec, data)
    check_class_weights(spec, data)
    check_stands_for(spec, data)
    check_top_k(spec, data)
    told("checking networks and methods")
    for name, section in spec.given_teachers.items():
        known = data.of_tasks(spec.tasks_of(name))
        _check_model(spec, (*teacher_path(name), "model"), section.model, known)
    for number, students in enumerate(spec.students):
        for model in corners(students):
            _check_model(spec, ("students", number), model, data)
    told_of_weights = check_initial(spec, data)
    check_fine_tuning(spec, data)
    stopwatch = Stopwatch(spec.latency, reserved_core() if spec.reserves_core else None)
    architectures = Architectures(data.inputs, data.outputs, data.problem.heads, stopwatch)
    check_cuts(spec, data, architectures)
    whole = Space(spec)
    probes = {label: whole.probes(label) for label in whole.methods if label != UNDISTILLED}
    of_ways = {label: whole.way_probes(label) for label in whole.ways}
    fitting = find_fitting(spec, probes, of_ways, Pairs(spec, architectures))
    space = Space(spec, fitting, data.inputs)
    _check_students_of_ways(spec, space)
    _check_pairs(spec, space)
    _check_limits(spec, space, architectures)
    past = begun.past if begun else None
    if past is None:
        past = warm_start_proposals(space, past_fronts(spec))
    sizes = {
        name: architectures.of_tasks(spec.tasks_of(name)).size(section.model)
        for name, section in spec.given_teachers.items()
    }
    given = _given_teachers(spec, data)
    found, told_of_chains = find_chains(space, architectures, data, begun.chains if begun else None)
    told("trying a few steps of each network")
    warnings = told_of_weights + told_of_chains
    warnings += TryOut(spec, data, architectures, space).run(given)
    return Plan(spec, data, space, architectures, sizes, given, past, warnings, found)


def _load_data(spec: StudySpec) -> Dataset:
    try:
        return load_study_data(spec)
    except DataError as error:
        raise DataError(f"{spec.place(_data_setting(str(error)))}: {error}") from error


def _data_setting(reason: str) -> KeyPath:
    """The setting that a reason names, as ``data.root`` or ``target`` does, else the source."""
    fields = {"data": DataSection.model_fields, "target": TargetSection.model_fields}
    for section, name in re.findall(r"\b(data|target)\.(\w+(?:\.\w+)*)", reason):
        path = name.split(".")
        if path[0] in fields[section]:
            return section, *path
    return ("target" if reason.startswith("target: ") else "data"), "source"


def _check_batches(spec: StudySpec, data: Dataset) -> None:
    for path, training in trainings(spec).items():
        batch = training.batch_size
        if batch > len(data.train):
            raise spec.refuse(
                (*path, "batch_size"),
                f"a batch of {batch} is more than the {len(data.train)} training samples; lower it",
            )


def _check_model(spec: StudySpec, path: KeyPath, model: ModelConfig, data: Dataset) -> None:
    try:
        blueprint(model, data.inputs, data.outputs)
    except CheckpointError as error:
        raise CheckpointError(f"{spec.place((*path, 'weights'))}: {error}") from None
    except ModelError as error:
        named = re.search(_SETTING, str(error))
        place = "family"
        if named is not None:
            place = "inputs" if named[1] else named[2] or named[3]
        raise spec.refuse((*path, place), str(error)) from None


def _check_pairs(spec: StudySpec, space: Space) -> None:
    """Refuse a method that works on no pair of the space, or a teacher who can teach nobody."""
    keys = list(space.students)
    labels = [label for label in spec.methods if label != UNDISTILLED]
    taught = [label for label in labels if needs_teacher(label)]
    for label in labels:
        if not space.fitting.teachers(label, who_teaches(spec, label), keys):
            reason = next(r for (of, _, _), r in space.fitting.unfit.items() if of == label)
            raise spec.refuse(
                ("methods", label),
                f"{reason}; it works for no student and teacher of the study, so remove {label} "
                "or change those",
            )
    for name in spec.teaching.by or ():
        if taught and not any(space.fitting.teachers(label, [name], keys) for label in taught):
            raise spec.refuse(
                ("teaching", "by"), f"'{name}' can teach by none of the methods; remove it"
            )


def _check_students_of_ways(spec: StudySpec, space: Space) -> None:
    """Refuse a way that makes nothing of any student, and a student of which none does."""
    reasons, keys, labels = space.fitting.unfit_ways, list(space.students), list(spec.ways)
    for label in labels:
        if all((label, key) in reasons for key in keys):
            raise spec.refuse(
                ("ways", label),
                f"{reasons[label, keys[0]]}; {label} works on no student of the study, so remove "
                "it or change those",
            )
    for number, key in enumerate(keys):
        if not space.fitting.ways(key, labels):
            raise spec.refuse(
                ("students", number),
                f"none of the ways works on {key} ({reasons[labels[0], key]}); add none to ways, "
                "or remove these students",
            )


def _check_limits(spec: StudySpec, space: Space, architectures: Architectures) -> None:
    """Refuse a budget that holds no trial, and size limits that no student of the space keeps."""
    longest, allowed = max(trial_lengths(spec)), spec.search.max_epochs
    if allowed is not None and allowed < longest:
        raise spec.refuse(
            ("search", "max_epochs"),
            f"one trial may take {longest} epochs, more than search.max_epochs ({allowed}); raise "
            "that",
        )
    limits = {name: most for name, most in spec.search.limits.items() if name not in FILE_SIZES}
    if not limits:
        return
    sizes = list(_sizes(space, architectures))
    for name, limit in limits.items():
        smallest = min(getattr(size, name) for size in sizes)
        if smallest > limit:
            raise spec.refuse(
                ("search", f"max_{name}"),
                f"the smallest student of the space has {smallest} {name}, more than "
                f"search.max_{name} ({limit}); raise it, or allow narrower students",
            )


def _sizes(space: Space, architectures: Architectures) -> Iterator[Size]:
    """Of the students at the ends, with each way."""
    for key, section in space.students.items():
        every_way = [ways for label in space.ways_of(key) for ways in space.way_probes(label)]
        # with each start, since given weights may have a size of images of their own
        starts = every_start(section, space.spec, architectures.inputs)
        for model, ways in product(starts, every_way):
            with suppress(ModelError):  # of some students a way makes nothing
                yield architectures.size(model.model_copy(update={"ways": ways}))


def _given_teachers(spec: StudySpec, data: Dataset) -> dict[str, StoredTeacher]:
    found = {}
    for name in spec.given_teachers:
        try:
            stored = given_teacher(spec, data, name)
        except CheckpointError as error:
            place = spec.place((*teacher_path(name), "checkpoint"))
            raise CheckpointError(f"{place}: {error}") from error
        if stored is not None:
            found[name] = stored
    return found
