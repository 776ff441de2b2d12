"""What a study says of fine-tuning, checked against the networks that are fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator

from kdsearch.data import Dataset
from kdsearch.errors import ModelError
from kdsearch.models import blueprint
from kdsearch.space.compatibility import every_start
from kdsearch.spec.concrete import FineTuning, ModelConfig
from kdsearch.spec.origin import KeyPath
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import called, teacher_path
from kdsearch.training.fine_tuning import check_freezing
from kdsearch.training.teacher_store import describe


def check_fine_tuning(spec: StudySpec, data: Dataset) -> None:
    """Refuse to fine-tune what is not pretrained, and to freeze what a network does not have.

    Raises:
        SpecError: The message gives its line.
    """
    for path, who, tuning, models, known in _tuned(spec, data):
        pretrained = [model for model in models if model.pretrained]
        if not pretrained:
            raise spec.refuse(
                path,
                f"it is for networks that begin with weights, and {who}; give weights, or remove "
                "fine_tuning",
            )
        for model in pretrained:
            try:
                check_freezing(blueprint(model, known.inputs, known.outputs), tuning)
            except ModelError as error:
                raise spec.refuse(_at_fault(path, tuning), f"{describe(model)}: {error}") from None


def _at_fault(path: KeyPath, tuning: FineTuning) -> KeyPath:
    """What of a recipe asks for something that a network may lack."""
    if tuning.freeze is not None:
        return (*path, "freeze")
    if tuning.head_epochs:
        return (*path, "head_epochs")
    given = [name for name in ("pretrained_lr", "layer_decay") if getattr(tuning, name) != 1]
    return (*path, given[0]) if given else path


def _tuned(
    spec: StudySpec, data: Dataset
) -> Iterator[tuple[KeyPath, str, FineTuning, list[ModelConfig], Dataset]]:
    """Every recipe: its place, whose it is, and the networks that may be trained by it."""
    for name, section in spec.teachers_in_use.items():
        tuning = section.training.fine_tuning
        if tuning is not None and section.is_trained:
            path: KeyPath = (*teacher_path(name), "training", "fine_tuning")
            known = data.of_tasks(spec.tasks_of(name))
            yield (
                path,
                f"the {called(name)} begins with random ones",
                tuning,
                [section.model],
                known,
            )
    tuning = spec.training.fine_tuning
    if tuning is not None:
        models = [
            model for section in spec.students for model in every_start(section, spec, data.inputs)
        ]
        yield ("training", "fine_tuning"), "no student does", tuning, models, data
