"""The actor that trains students, one after another, in its own warm process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from kdsearch.data import unpack
from kdsearch.errors import KdsearchError
from kdsearch.models import build_network
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.courses import Course, begin_course
from kdsearch.training.task import Task
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.weights import save_weights


class StudentTrial(tune.Trainable):
    """Trains the student of ``config["task"]``; one step is one epoch.

    The actor lives on between trials: data and teacher are unpacked once a process, and
    ``reset_config`` starts the next student in a hundredth of a second.
    """

    def setup(self, config: dict[str, Any], shared: dict[str, Any] | None = None) -> None:
        """Take up data, teacher and the first task.

        Args:
            config: ``task`` (a dumped :class:`Task`), and for finalists ``save_to``, the file that
                takes the weights after the last epoch.
            shared: ``data``, a reference to the packed data in Ray's object store; ``teachers``,
                packed, by name, the one to compare with first; ``threads`` of a trial; and
                ``gpu``, whether to use one.
        """
        assert shared is not None
        torch.set_num_threads(shared["threads"])
        self._device = "cuda" if torch.cuda.is_available() and shared["gpu"] else "cpu"
        self._data = unpack(ray.get(shared["data"]))
        self._teachers = {
            name: unpack_teacher(packed, self._device)
            for name, packed in shared["teachers"].items()
        }
        first = next(iter(self._teachers.values()))
        self._reference = Reference(first, self._data, self._device)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another task in the same process."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._save_to = config.get("save_to")
        self._task = Task.model_validate(config["task"])
        self._course: Course | None = None

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
            self._course = begin_course(
                self._task, self._data, self._teachers, self._device, self._reference
            )
        course = self._course
        result: dict[str, Any] = {"report": course.train_epoch().as_dict()}
        if course.finished and self._save_to is not None:
            result["test"] = course.score_test().as_dict()
            save_weights(course.student, Path(self._save_to))
        return result | {"done": course.finished}


def pack_teacher(model: ModelConfig, teacher: Teacher) -> dict[str, Any]:
    """A teacher as plain values and NumPy arrays."""
    network = teacher.network
    return {
        "model": model.model_dump(mode="json"),
        "image_shape": network.image_shape,
        "classes": network.classes,
        "state": {name: value.cpu().numpy() for name, value in network.state_dict().items()},
    }


def unpack_teacher(packed: dict[str, Any], device: str) -> Teacher:
    """The teacher of :func:`pack_teacher`, with weights of its own."""
    network = build_network(
        ModelConfig(**packed["model"]), tuple(packed["image_shape"]), packed["classes"]
    )
    network.load_state_dict(
        {name: torch.as_tensor(value.copy()) for name, value in packed["state"].items()}
    )
    return Teacher(network, device)
