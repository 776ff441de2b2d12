"""The actor that trains students, one after another, in its own warm process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from kdsearch.data import on_device, unpack
from kdsearch.errors import KdsearchError
from kdsearch.spec.sections import ResourcesSection
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.checkpoints import load_training, save_training
from kdsearch.training.hardware import Hardware
from kdsearch.training.programs import TrainingProgram, begin_training
from kdsearch.training.task import Task
from kdsearch.training.weights import save_weights


class StudentTrial(tune.Trainable):
    """Trains the student of ``config["task"]``; one step is one epoch.

    The actor lives on between trials: data and teacher are unpacked once a process, and
    ``reset_config`` starts the next student in a hundredth of a second.
    """

    def setup(self, config: dict[str, Any], shared: dict[str, Any] | None = None) -> None:
        """Take up data, teacher and the first task.

        Args:
            config: ``task`` (a dumped :class:`Task`); ``rungs``, the epochs after which averaged
                weights are scored; ``until``, the epoch after which the training is put aside in
                the file ``aside``; ``since``, such a file that it goes on from; and for finalists
                ``save_to``, the file that takes the weights after the last epoch.
            shared: ``data``, a reference to the packed data in Ray's object store; ``teachers``,
                packed, by name; ``caches``, what is kept of their answers, and ``home``, where the
                study's own process has it; and ``resources``, a dumped
                :class:`~kdsearch.spec.sections.ResourcesSection`.
        """
        assert shared is not None
        resources = ResourcesSection.model_validate(shared["resources"])
        torch.set_num_threads(resources.cpus_per_trial)
        self._hardware = Hardware.of(resources)
        self._data = on_device(unpack(ray.get(shared["data"])), self._hardware.device)
        self._answers = TeacherSignals(shared, self._data, self._hardware.device)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another task in the same process."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._save_to = config.get("save_to")
        self._rungs = config.get("rungs", ())
        self._until, self._aside = config.get("until"), config.get("aside")
        self._since = config.get("since")
        self._task = Task.model_validate(config["task"])
        self._course: TrainingProgram | None = None

    def step(self) -> dict[str, Any]:
        """Train one epoch; a finalist is scored on the test split after its last.

        A training that kdsearch itself gives up ends as a result with ``failed``, its reason: an
        exception would cost the actor, and with it the seconds that a new one takes to start.
        """
        try:
            return self._train_epoch()
        except KdsearchError as error:
            return {"failed": str(error), "done": True}

    def _train_epoch(self) -> dict[str, Any]:
        if self._course is None:
            self._course = begin_training(
                self._task,
                self._data,
                self._answers.of_views(self._task.views_seed),
                self._hardware,
                self._answers.reference,
                self._rungs,
            )
            if self._since is not None:
                load_training(self._course, Path(self._since))
        course = self._course
        report = course.train_epoch()
        result: dict[str, Any] = {"report": report.as_dict()}
        if self._aside is not None and report.epoch == self._until:
            save_training(course, Path(self._aside))
        if course.finished and self._save_to is not None:
            result["test"] = course.score_test().as_dict()
            save_weights(course.student, Path(self._save_to))
        return result | {"done": course.finished}
