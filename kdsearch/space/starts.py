"""What students may begin with: random weights, given ones, an earlier study's, a teacher's."""

from __future__ import annotations

from kdsearch.models.inputs import Inputs
from kdsearch.models.libraries.catalogue import with_own_view
from kdsearch.space.nearest import begun_with_nearest
from kdsearch.spec.concrete import Importance, Init, ModelConfig
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.ways import wider_ways

_FITTING: tuple[Init, ...] = ("random", "pretrained", "cut_from_teacher")
"""From what goes with most methods and teachers to what goes with fewest."""


def easiest(section: StudentSection) -> Init:
    """Of what students may begin with, that which goes with most methods and teachers."""
    return next(init for init in _FITTING if init in section.inits)


def beginning(
    model: ModelConfig,
    init: Init,
    section: StudentSection,
    spec: StudySpec,
    teacher: str | None,
    inputs: Inputs | None,
    importance: Importance | None = None,
) -> ModelConfig:
    """A student with what it begins with.

    Args:
        model: Its architecture.
        init: What it begins with.
        section: Its entry in ``students``.
        spec: The study.
        teacher: Who teaches it, if anybody.
        inputs: Of a sample of the data, if known.
        importance: What decides which channels are kept of a wider network; absent: the first that
            the entry names.

    Raises:
        SpecError: No teacher is of its family.
        StudyError: The earlier study that it is to begin with cannot be read.
    """
    if init == "random" and not wider_ways(model.ways):
        return model
    update: dict[str, object] = {"importance": importance or section.importance[0]}
    if init == "random":
        return model.model_copy(update=update)
    if init == "pretrained":
        model, weights = model.model_copy(update=update), section.weights
        assert weights is not None, "a section with this start has them"
        if weights.study is not None:
            return begun_with_nearest(model, weights, inputs)
        return model.model_copy(update={"weights": weights})
    name = origin_name(spec, section, teacher)
    # the weights are of images as the teacher sees them
    seen = with_own_view(spec.given_teachers[name].model)
    for key in ("normalise", "image_size"):
        update[key] = getattr(model, key) or getattr(seen, key)
    return model.model_copy(update={**update, "cut_from": name})


def origins(spec: StudySpec, section: StudentSection) -> list[str]:
    """The study's teachers that students can be cut from, in the order of the file: of the
    students' family, with the classes of the data as outputs."""
    used = {name: given.model for name, given in spec.teachers_in_use.items()}
    own = {name: model for name, model in used.items() if model.outputs is None}
    return [name for name, model in own.items() if model.family == section.family]


def origin_name(spec: StudySpec, section: StudentSection, teacher: str | None) -> str:
    """The teacher that students are cut from: their own, or the first of their family.

    Raises:
        SpecError: No teacher is of their family and of the classes of the data.
    """
    able = origins(spec, section)
    if teacher in able:
        return str(teacher)
    if not able:
        raise spec.refuse(
            ("students", spec.students.index(section), "init"),
            f"{section.family} students cannot be cut from a teacher, since no teacher of the "
            f"study is a {section.family} of the classes of the data; remove cut_from_teacher, or "
            "add such a teacher",
        )
    return able[0]
