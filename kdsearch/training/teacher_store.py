"""Trained teachers on disk, found again by what they were made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsearch.data import Dataset, derive
from kdsearch.files import checksum, write_atomically
from kdsearch.models import Network, build_network
from kdsearch.models.weights import load_weights, save_weights
from kdsearch.models.weights.sources import forget_weights, load_initial, with_known_weights
from kdsearch.spec.concrete import MethodConfig, ModelConfig
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.own_code import code_digest
from kdsearch.training.task import Task
from kdsearch.ways import way_label

FORMAT = 4
"""Raised when a change of the training loop or of a family makes earlier teachers incomparable."""


def teacher_task(spec: StudySpec, name: str = TEACHER) -> Task:
    """The training that makes a teacher: the same loop, without distillation terms.

    Weights are for several tasks: a teacher of one learns its loss as it is.
    """
    teacher, tasks = spec.given_teachers[name], spec.tasks_of(name)
    several = len(tasks) != 1
    return Task(
        model=with_known_weights(teacher.model),
        method=MethodConfig(label="none"),
        training=teacher.training,
        augment=spec.data.augment,
        views_seed=derive(teacher.seed, "views"),
        seed=derive(teacher.seed, "teacher"),
        task_weights=_fixed_weights(spec, tasks) if several else {},
        uncertainty=several and spec.problem.weighting == "uncertainty",
        tasks=tasks,
    )


def _fixed_weights(spec: StudySpec, tasks: Collection[str]) -> dict[str, float]:
    """The weights of some tasks, or all, that are not searched; the others count once."""
    given = spec.problem.tasks
    weights = {name: task.weight for name, task in given.items() if name in (tasks or given)}
    return {
        name: float(weight)
        for name, weight in weights.items()
        if isinstance(weight, int | float) and weight != 1.0
    }


def teacher_key(task: Task, data: Dataset) -> str:
    """Content key of a teacher: its task, its data, the user's code, the version of the format.

    Raises:
        ModelError: The function that makes the network is not there.
    """
    content = f"{FORMAT}/{task.key}/{data.fingerprint}/{code_digest(task.model)}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class StoredTeacher:
    """A teacher on disk.

    Attributes:
        key: Its content key.
        model: Its architecture.
        weights: Its safetensors file, or the checkpoint that the user gave; ``None`` where it is
            taken as a library has it.
        facts: Validation accuracy and the history of its training, where known.
        name: What the study calls it.
        tasks: The tasks that it knows; all, where none is named.
    """

    key: str
    model: ModelConfig
    weights: Path | None
    facts: dict[str, Any]
    name: str = TEACHER
    tasks: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Where its weights are."""
        if self.weights is not None:
            return str(self.weights)
        given = self.model.weights
        assert given is not None
        return f"'{given.source}' of {self.model.family}" if given.file is None else str(given.file)

    def build(self, data: Dataset) -> Network:
        """The network with its weights.

        Raises:
            CheckpointError: The file is missing, corrupt, or fits another architecture.
        """
        network = build_network(self.model, data.inputs, data.of_tasks(self.tasks).outputs)
        what = f"the teacher ({describe(self.model)})"
        if self.weights is None:
            load_initial(network, self.model, what)
            forget_weights()
        else:
            load_weights(network, self.weights, what)
        return network


def describe(model: ModelConfig) -> str:
    """A model in a few words: family, width, and what of the rest is given."""
    depth = f" depth {model.depth}" if model.depth is not None else ""
    step = "" if model.round_to is None else f" in multiples of {model.round_to}"
    of = "" if model.inputs is None else f" of {', '.join(model.inputs)}"
    as_half = ", float16" if model.stored == "float16" else ""
    side = "" if model.image_size is None else f" at {model.image_size}×{model.image_size} pixels"
    by = f", {way_label(model.ways)}" if model.ways else ""
    return f"{model.family}{depth} width {model.width:g}{step}{side}{of}{by}{as_half}"


class TeacherStore:
    """A folder of trained teachers, each under its content key.

    Args:
        folder: The folder; made when the first teacher is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> StoredTeacher | None:
        """The teacher under ``key``, if its files are there and whole."""
        weights, facts = self._files(key)
        try:
            told = json.loads(facts.read_text())
            if checksum(weights) != told["sha256"]:
                return None
            model, tasks = ModelConfig.model_validate(told["model"]), told["task"].get("tasks", ())
            return StoredTeacher(key, model, weights, told, tasks=tuple(tasks))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, key: str, network: Network, task: Task, facts: dict[str, Any]) -> StoredTeacher:
        """Write a teacher; the facts, written last, make it count."""
        weights, file = self._files(key)
        save_weights(network, weights)
        told = {
            "key": key,
            "model": task.model.model_dump(mode="json"),
            "task": task.model_dump(mode="json"),
            "sha256": checksum(weights),
            **facts,
        }
        write_atomically(file, json.dumps(told, indent=1).encode())
        return StoredTeacher(key, task.model, weights, told, tasks=task.tasks)

    def _files(self, key: str) -> tuple[Path, Path]:
        folder = self.folder / key
        return folder / "teacher.safetensors", folder / "teacher.json"


def given_teacher(spec: StudySpec, data: Dataset, name: str = TEACHER) -> StoredTeacher | None:
    """The teacher that is taken as it is, checked against its architecture, if one is given.

    Raises:
        CheckpointError: Its file is missing, corrupt, or fits another architecture, or its
            library's weights cannot be had.
    """
    section = spec.given_teachers[name]
    path, model = section.checkpoint, section.model
    if section.is_trained:
        return None
    if path is None:
        model = with_known_weights(model)
        assert model.weights is not None
        key = model.weights.sha256[:16]
    else:
        key = checksum(path)[:16] if path.is_file() else ""
    stored = StoredTeacher(key, model, path, {}, name, spec.tasks_of(name))
    stored.build(data)
    return stored
