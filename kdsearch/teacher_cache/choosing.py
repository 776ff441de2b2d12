"""Which teacher signals a study caches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import partial

import torch

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.methods import needs_teacher, parse_label
from kdsearch.methods.base import read_of_teacher
from kdsearch.models import Signal
from kdsearch.results.directory import StudyDirectory
from kdsearch.space.checks import Plan
from kdsearch.space.fitting import Fitting, keyed_students
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER, called
from kdsearch.teacher_cache.cache_plan import (
    CachePlan,
    SplitViews,
    plan_cache,
    teacher_digest,
)
from kdsearch.teacher_cache.contents import Caches, TeacherCache
from kdsearch.teacher_cache.encoding import encode
from kdsearch.teacher_cache.parts import make_room, mark_used
from kdsearch.training.recipe import study_views_seed
from kdsearch.training.teacher import Teacher, judged_splits

_SAMPLES = 64


def signals_read(spec: StudySpec, fitting: Fitting) -> dict[str, frozenset[Signal]]:
    """The signals that the methods of a study read of each given teacher that fits them."""
    students = list(keyed_students(spec.students))
    read: dict[str, frozenset[Signal]] = dict.fromkeys(spec.given_teachers, frozenset())
    for label in spec.methods:
        signals = frozenset[Signal]().union(*map(read_of_teacher, parse_label(label)))
        if not needs_teacher(label):
            continue
        for teaching in fitting.teachers(label, spec.taught_by, students):
            alone = teaching in spec.given_teachers
            for name in spec.teachers_behind(teaching):
                read[name] |= signals if alone else signals & {Signal.LOGITS}
    return read


def plan_caches(plan: Plan, teachers: Mapping[str, Teacher]) -> Caches:
    """What to cache of each teacher, within the budget of the spec.

    Args:
        plan: The study.
        teachers: Those in use. Untrained ones do for an estimate.

    Raises:
        SpecError: Some signals of a teacher cannot be stored as ``cache.dtype`` says.
    """
    spec, section, data = plan.spec, plan.spec.cache, plan.data
    folder = StudyDirectory.caches(spec).resolve()  # trials run in folders of their own
    digests = {
        name: teacher_digest(teacher.network, spec.given_teachers[name].model)
        for name, teacher in teachers.items()
    }
    reference = {
        split: {
            name: plan_cache(
                digests[name],
                teachers[name].shapes,
                {Signal.LOGITS},
                data,
                SplitViews(split, None, 0, 1),
                folder,
                math.inf,
            )
            for name in spec.teachers_behind(spec.compared_with)
        }
        for split in judged_splits(data)
        if spec.compares_answers
    }
    kept = sum(cache.bytes for of_split in reference.values() for cache in of_split.values())
    budget = section.disk_gb * 1e9 - kept
    if budget < 0:  # those logits are cached for all splits or for none
        reference, budget = {}, section.disk_gb * 1e9
    read = {
        name: signals
        for name, signals in signals_read(spec, plan.space.fitting).items()
        if signals and name in teachers
    }
    allowed = frozenset(map(Signal, section.signals))
    views = SplitViews("train", spec.data.augment, study_views_seed(spec), spec.training.epochs)
    storing = partial(plan_cache, dtype=section.dtype, top_k=section.top_k)
    plans = _shared_out(
        {
            name: partial(
                storing, digests[name], teachers[name].shapes, each & allowed, data, views, folder
            )
            for name, each in read.items()
        },
        budget,
    )
    found = {
        name: TeacherCache(cache, read[name], _try_out(name, teachers[name], cache, plan))
        for name, cache in plans.items()
    }
    return Caches(found, reference, folder, section)


def _shared_out(
    makers: Mapping[str, Callable[[float], CachePlan]], budget: float
) -> dict[str, CachePlan]:
    """Each teacher's cache; none has more than an equal share of what smaller ones leave over.

    ``makers`` plan a teacher's cache within some bytes; ``budget`` is for all together.
    """
    by_size = sorted(makers, key=lambda name: makers[name](math.inf).bytes)
    plans: dict[str, CachePlan] = {}
    for place, name in enumerate(by_size):
        plans[name] = makers[name](budget / (len(by_size) - place))
        budget -= plans[name].bytes
    return {name: plans[name] for name in makers}


def _try_out(name: str, teacher: Teacher, cache: CachePlan, plan: Plan) -> float | None:
    """Seconds of computing an epoch's signals, from a few; those must be such as can be stored."""
    spec = plan.spec
    wanted = [signal for signal, epochs in cache.cached.items() if epochs]
    if not wanted:
        return 0.0
    device = next(teacher.network.parameters()).device
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.resources.cpus_per_trial)
    try:
        seconds = _time_a_few(teacher, wanted, cache, plan.data, device)
    except TeacherError as error:
        whose = "" if name == TEACHER else f"{called(name)}: "
        told = f"{whose}{error}, or cache.disk_gb to 0"
        raise spec.refuse(("cache", "dtype"), told) from None
    finally:
        torch.set_num_threads(threads)
    as_trials = (device.type == "cuda") == (spec.resources.gpus_per_trial > 0)
    return seconds * cache.samples if as_trials else None


def _time_a_few(
    teacher: Teacher,
    wanted: Collection[Signal],
    cache: CachePlan,
    data: Dataset,
    device: torch.device,
) -> float:
    """Seconds of computing the signals of one view."""
    index = torch.arange(min(_SAMPLES, cache.samples))
    with closing(cache.views.feed(data, device, 0, teacher.inputs)) as feed:
        for _ in range(2):  # the first warms up
            start = time.perf_counter()
            signals = teacher.observe(next(iter(feed.batches([index], 0))), wanted)
            for signal in wanted:  # waits for the device
                encode(signal, signals, cache.dtype, cache.top_k)
            seconds = time.perf_counter() - start
    return seconds / len(index)


def prepare_caches(caches: Caches) -> list[str]:
    """Make room for the caches on disk; the keys of those that were removed.

    A study that caches nothing needs no room, and leaves those of others.

    Raises:
        UnwritableError: The folder cannot be made or written.
    """
    plans = caches.plans
    if not plans:
        return []
    for plan in plans:
        mark_used(plan.place)
    keys = {plan.key for plan in plans}
    return make_room(caches.folder, caches.section.disk_gb * 1e9 - caches.bytes, keys)
