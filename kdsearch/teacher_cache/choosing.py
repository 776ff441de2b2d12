"""Which of the teachers' answers a study keeps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import torch

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.methods import UNDISTILLED, parse_label
from kdsearch.models import Signal, Signals
from kdsearch.results.directory import StudyDirectory
from kdsearch.space.checks import Plan
from kdsearch.space.compatibility import Fitting, keyed_students
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import AVERAGE, TEACHER
from kdsearch.teacher_cache import (
    CachePlan,
    Subject,
    make_room,
    mark_used,
    plan_cache,
    teacher_digest,
)
from kdsearch.teacher_cache.contents import Caches, TeacherCache, called
from kdsearch.teacher_cache.encoding import encode
from kdsearch.training.candidate import study_views_seed
from kdsearch.training.teacher import Batch, SplitName, Teacher

_SAMPLES = 64


def signals_read(spec: StudySpec, fitting: Fitting) -> dict[str, frozenset[Signal]]:
    """What the methods of a study read of each given teacher.

    Args:
        spec: The study.
        fitting: Which methods cannot work under which teachers.
    """
    students = list(keyed_students(spec.students))
    read: dict[str, frozenset[Signal]] = dict.fromkeys(spec.given_teachers, frozenset())
    for label in spec.methods:
        if label == UNDISTILLED:
            continue
        signals = frozenset(signal for term in parse_label(label) for signal in term.signals)
        for teaching in fitting.teachers(label, spec.taught_by, students):
            if teaching == AVERAGE:
                read = {name: seen | (signals & {Signal.LOGITS}) for name, seen in read.items()}
            elif teaching in read:
                read[teaching] |= signals
    return read


def plan_caches(plan: Plan, teachers: Mapping[str, Teacher]) -> Caches:
    """What to keep of each teacher, within the budget of the spec.

    Args:
        plan: The study.
        teachers: Those in use. Untrained ones do for an estimate.

    Raises:
        SpecError: Some answers of a teacher cannot be stored as ``cache.dtype`` says.
    """
    spec = plan.spec
    folder = StudyDirectory.caches(spec).resolve()  # trials run in folders of their own
    budget = spec.cache.disk_gb * 1e9
    digests = {
        name: teacher_digest(teacher.network, spec.given_teachers[name].model)
        for name, teacher in teachers.items()
    }
    reference = _reference_plans(teachers[TEACHER], digests[TEACHER], plan, folder, budget)
    read = {
        name: signals
        for name, signals in signals_read(spec, plan.space.fitting).items()
        if signals and name in teachers
    }
    makers = {
        name: _maker(teachers[name], digests[name], read[name], plan, folder) for name in read
    }
    plans = _shared_out(makers, budget - sum(cache.bytes for cache in reference.values()))
    found = {
        name: TeacherCache(cache, read[name], _try_out(name, teachers[name], cache, plan))
        for name, cache in plans.items()
    }
    return Caches(found, reference, folder, spec.cache)


def _maker(
    teacher: Teacher, digest: str, read: frozenset[Signal], plan: Plan, folder: Path
) -> Callable[[float], CachePlan]:
    """What gives a teacher's cache of the training views within some bytes."""
    spec = plan.spec
    return partial(
        plan_cache,
        digest,
        teacher.shapes,
        read & {Signal(signal) for signal in spec.cache.signals},
        plan.data,
        Subject("train", spec.data.augment, study_views_seed(spec), spec.training.epochs),
        folder,
        dtype=spec.cache.dtype,
        top_k=spec.cache.top_k,
    )


def _reference_plans(
    teacher: Teacher, digest: str, plan: Plan, folder: Path, budget: float
) -> dict[SplitName, CachePlan]:
    """The logits with which students are compared; none, where there is no room for all."""
    splits: tuple[SplitName, ...] = ("validation", "test")
    plans = {
        split: plan_cache(
            digest,
            teacher.shapes,
            {Signal.LOGITS},
            plan.data,
            Subject(split, None, 0, 1),
            folder,
            math.inf,
        )
        for split in splits
    }
    return plans if sum(cache.bytes for cache in plans.values()) <= budget else {}


def _shared_out(
    makers: Mapping[str, Callable[[float], CachePlan]], budget: float
) -> dict[str, CachePlan]:
    """Each teacher's cache; none has more than an equal share of what smaller ones leave over.

    Args:
        makers: By the teacher's name, what gives its cache within some bytes.
        budget: Bytes of all together.
    """
    by_size = sorted(makers, key=lambda name: makers[name](math.inf).bytes)
    plans: dict[str, CachePlan] = {}
    for place, name in enumerate(by_size):
        plans[name] = makers[name](budget / (len(by_size) - place))
        budget -= plans[name].bytes
    return {name: plans[name] for name in makers}


def _try_out(name: str, teacher: Teacher, cache: CachePlan, plan: Plan) -> float | None:
    """Seconds of asking for an epoch's answers, from a few; those must be such as can be stored."""
    signals = [signal for signal, epochs in cache.kept.items() if epochs]
    if not signals:
        return 0.0
    device = next(teacher.network.parameters()).device
    resources = plan.spec.resources
    threads = torch.get_num_threads()
    torch.set_num_threads(resources.cpus_per_trial)
    try:
        answers, seconds = _ask_a_few(teacher, signals, cache.subject, plan.data, device)
    finally:
        torch.set_num_threads(threads)
    _check_storable(name, answers, signals, plan.spec)
    as_trials = (device.type == "cuda") == (resources.gpus_per_trial > 0)
    return seconds * cache.layout.samples if as_trials else None


def _ask_a_few(
    teacher: Teacher,
    signals: Collection[Signal],
    subject: Subject,
    data: Dataset,
    device: torch.device,
) -> tuple[Signals, float]:
    """The answers to a few views, and the seconds that each took."""
    index = torch.arange(min(_SAMPLES, len(data.train)))
    with closing(subject.feed(data, device, loaders=0)) as feed:
        for _ in range(2):  # the first warms up
            start = time.perf_counter()
            images, targets = next(iter(feed.batches([index], 0)))
            answers = teacher.observe(Batch(images, targets, 0, index), signals)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - start
    return answers, seconds / len(index)


def _check_storable(
    name: str, answers: Signals, signals: Collection[Signal], spec: StudySpec
) -> None:
    for signal in signals:
        try:
            encode(signal, answers, spec.cache.dtype, spec.cache.top_k)
        except TeacherError as error:
            whose = "" if name == TEACHER else f"{called(name)}: "
            told = f"{whose}{error}, or cache.disk_gb to 0"
            raise spec.refuse(("cache", "dtype"), told) from None


def prepare_caches(caches: Caches) -> list[str]:
    """Make room for the caches on disk; the keys of those that had to go.

    A study that keeps nothing needs no room, and leaves those of others.

    Raises:
        TeacherError: The folder cannot be made or written.
    """
    plans = caches.plans
    if not plans:
        return []
    for plan in plans:
        mark_used(plan.layout.place)
    keys = {plan.layout.key for plan in plans}
    return make_room(caches.folder, caches.section.disk_gb * 1e9 - caches.bytes, keys)
