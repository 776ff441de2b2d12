"""Trainings in stages: of a wider network first, from which the student is cut while it is trained.

Each stage is a task of its own, with a schedule of its own. All but the first go on from the one
before as a student of a chain does.
"""

from __future__ import annotations

from collections.abc import Sequence

from kdsearch.spec.concrete import ModelConfig, WayConfig
from kdsearch.spec.study import StudySpec
from kdsearch.training.fine_tuning import phases
from kdsearch.training.recipe import lasting
from kdsearch.training.task import Parent, Task
from kdsearch.ways import Stage, make_ways, staging, wider_ways


def stages_of(ways: Sequence[WayConfig], epochs: int) -> list[Stage]:
    """The stages of a student's training; of most, one.

    Args:
        ways: Those of the student.
        epochs: Of the whole training.

    Raises:
        ModelError: They are too few.
    """
    if not wider_ways(ways):
        return [Stage(1.0, epochs)]
    way = staging(make_ways(ways))
    assert way is not None, "one of them is"
    return way.stages(epochs)


def stage_tasks(task: Task, origin: float | None = None) -> list[Task]:
    """The tasks of a training's stages; the last one's network is the student.

    Args:
        task: The whole training.
        origin: As :func:`stage_model`.

    Raises:
        ModelError: It has too few epochs.
    """
    found: list[Task] = []
    stages = stages_of(task.model.ways, task.training.epochs)
    for number, stage in enumerate(stages):
        model = task.model
        if stage is not stages[-1]:
            model = stage_model(model, stage, origin)
        training = lasting(task.training, stage.epochs, task.training)
        parent = task.parent
        if number:  # its head is trained
            training = phases(training)[-1][1]
            before = found[-1]
            parent = Parent(key=before.key, model=before.model, epochs=before.lineage_epochs)
        update = {"model": model, "training": training, "parent": parent}
        found.append(task.model_copy(update=update))
    return found


def stage_model(model: ModelConfig, stage: Stage, origin: float | None) -> ModelConfig:
    """The network of a stage before the last, as it is without ways.

    It is no wider than what it begins with.

    Args:
        model: The student.
        stage: The stage.
        origin: The width of the trained network that the student begins with, if it begins with
            one that is trained in its study.
    """
    width = model.width * stage.width
    if model.weights is not None and model.cut_from is None:
        origin = max(1.0, model.width)
    if origin is not None:
        width = min(width, origin)
    # what is cut again is not shipped
    return model.model_copy(update={"width": width, "ways": (), "stored": "float32"})


def origin_width(spec: StudySpec, model: ModelConfig, parent: Parent | None = None) -> float | None:
    """The width of the trained network that a student of a study begins with, if it begins with
    one that is trained there: a teacher, or another student."""
    if parent is not None:
        return parent.model.width
    name = model.cut_from
    return None if name is None else spec.given_teachers[name].model.width


def widening(task: Task, origin: float | None = None) -> float:
    """Mean multiply-accumulates of a training's networks, as multiples of its student's.

    Channels go in and come out, so that they grow with the square of the width.

    Args:
        task: The whole training.
        origin: As :func:`stage_model`.
    """
    model, total = task.model, 0.0
    *wide, last = stages_of(model.ways, task.training.epochs)
    for stage in wide:
        total += stage.epochs * (stage_model(model, stage, origin).width / model.width) ** 2
    return (total + last.epochs) / task.training.epochs
