"""Studies that are measured: their teachers are not trained, their proposals are given."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch

from kdsearch.data import Views, load_dataset
from kdsearch.execution.connection.session import ray_session
from kdsearch.execution.observers import Observer
from kdsearch.execution.tune_run import Runner
from kdsearch.models import Signal, build_network
from kdsearch.models.weights import save_weights
from kdsearch.results.directory import StudyDirectory
from kdsearch.search.study_run import StudyRun
from kdsearch.space.checks import Plan, make_plan
from kdsearch.spec.study import StudySpec
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.choosing import plan_caches, prepare_caches
from kdsearch.training.teacher import Teacher, Teaching


def study_spec(folder: Path, name: str, options: dict[str, Any], **sections: Any) -> StudySpec:
    """A study with a teacher of random weights, of whose training nothing is measured.

    Args:
        folder: Takes the study, the teacher and the cache; a later study has the same teacher.
        name: Of the study.
        options: What :func:`images.load` is called with.
        sections: The sections of the spec; ``teacher`` is its model, and ``data`` lacks the source.
    """
    checkpoint = folder / "teacher.safetensors"
    given = {
        **sections,
        "study": {"name": name, "directory": str(folder)},
        "data": {"source": "images:load", "options": options, **sections["data"]},
        "teacher": {"model": sections["teacher"], "checkpoint": str(checkpoint)},
    }
    spec = StudySpec.model_validate(given)
    if not checkpoint.is_file():
        data = load_dataset(spec.data)
        torch.manual_seed(0)
        network = build_network(spec.teacher.model, data.inputs, len(data.classes))
        save_weights(network, checkpoint)
    return spec


def keep_answers(teacher: Teaching, views: Views, epoch: int) -> None:
    """Have the logits of all views of an epoch kept, by asking a caching teacher for the first."""
    index = torch.zeros(1, dtype=torch.int64)
    teacher.observe(views.batch(index, epoch), {Signal.LOGITS})


class StudyCache:
    """The cache of a study, built epoch by epoch; a search in the same folder finds it again.

    Args:
        plan: The study.

    Attributes:
        asked: The teacher that computes the answers.
        caches: What is kept.
        teacher: The teacher of a trial, who reads what is kept.
    """

    def __init__(self, plan: Plan) -> None:
        device = torch.device("cpu")
        self.asked = Teacher(plan.given_teachers["teacher"].build(plan.data))
        self.caches = plan_caches(plan, {"teacher": self.asked})
        prepare_caches(self.caches)
        kept = self.caches.teachers["teacher"].plan
        self.teacher = CachedTeacher(CacheBuilder(kept, self.asked, plan.data, device))
        data, views = plan.data, kept.views
        self._views = Views(data.train, data.scales, views.augment, views.seed)
        self._built = 0

    def build(self) -> None:
        """Have the answers to the views of the next epoch kept."""
        keep_answers(self.teacher, self._views, self._built)
        self._built += 1


def quieten() -> None:
    """Keep chatter off the terminal; errors still show."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


class SearchOnly(StudyRun):
    """A study that ends with its search."""

    def _finalists(self, runner: Runner) -> None:
        """What is measured beside it judges no finalists either."""


def run_search(
    spec: StudySpec, proposals: Sequence[dict[str, Any]], observer: Observer | None = None
) -> None:
    """Check a study, start a Ray of its own, and run it as far as the end of its search.

    Args:
        spec: The study.
        proposals: What is tried, by Optuna's names of the parameters; the sampler proposes nothing.
        observer: Told of everything that happens.
    """
    quieten()
    # the plan in no other hand: with it go its own images, once Ray's store has them
    run = SearchOnly(replace(make_plan(spec), past=list(proposals)), observer or Observer())
    directory = StudyDirectory.of(spec)
    with ray_session(spec, None), directory.locked():
        directory.create(spec)
        directory.update(state="running", reason=None)
        run.run()
