"""The whole of a search-space file."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from kdsearch.errors import SpecError
from kdsearch.spec.base import Section
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.judging import ProblemSection
from kdsearch.spec.latency import LatencySection
from kdsearch.spec.origin import KeyPath, Origin, dotted
from kdsearch.spec.ranges import Dimension, is_searched
from kdsearch.spec.searching import SearchSection
from kdsearch.spec.sections import (
    CacheSection,
    DataSection,
    FinalistsSection,
    Identity,
    ResourcesSection,
    StudentSection,
    TargetSection,
    TeacherSection,
    TrackingSection,
    TrialTraining,
)
from kdsearch.spec.teaching import AVERAGE, BY_TASK, TEACHER, TeachingSection, teacher_path
from kdsearch.spec.ways import NO_WAY
from kdsearch.spec.wording import brief, instead


class StudySpec(Section):
    """A study: one teacher, one data set, and the space of students and methods to search."""

    study: Identity
    """The name of the study, its seed, and where it is kept."""
    data: DataSection
    """Where the samples come from, how they are split, and how training images are augmented."""
    target: TargetSection | None = None
    """Data of another domain, to which the students are adapted. Its training samples join those of
    ``data``, of which none is then kept for validation. Validation and test are the target's.
    Finalists are scored on the test of ``data`` too. Inputs and tasks are those of ``data``.
    Classes go by their names. ``image_size`` and ``augment`` of ``data`` hold for both. Absent:
    there is one domain."""
    problem: ProblemSection = ProblemSection()
    """What is predicted, and by which metrics it is judged."""
    teacher: TeacherSection
    """The network that students learn from, and with which every student is compared."""
    teachers: dict[str, TeacherSection] = {}
    """Further teachers, by names that you choose."""
    teaching: TeachingSection = TeachingSection()
    """Who may teach. The search chooses among them."""
    students: tuple[StudentSection, ...] = Field(min_length=1)
    """The architectures of students to search, as a list with an entry for each family."""
    methods: dict[str, dict[str, Dimension]] = Field(min_length=1)
    """The distillation methods to search."""
    ways: dict[str, dict[str, Dimension]] = Field(default={NO_WAY: {}}, min_length=1)
    """The ways by which students are made small, beside their width and depth. The search chooses
    among them; ``none`` is a student as it is."""
    training: TrialTraining = TrialTraining()
    """How every trial is trained. Learning rate, weight decay and label smoothing may be
    searched."""
    search: SearchSection = SearchSection()
    """How long the search lasts, what it weighs against which size, and what it leaves out."""
    latency: LatencySection = LatencySection()
    """How latencies are measured."""
    finalists: FinalistsSection = FinalistsSection()
    """How the members of the front are trained again and judged."""
    resources: ResourcesSection = ResourcesSection()
    """What trainings may use of the machine or cluster."""
    cache: CacheSection = CacheSection()
    """The signals of the teachers, kept on disk so that trials need not run the teacher again."""
    tracking: TrackingSection = TrackingSection()
    """Where MLflow keeps the records of the study."""

    @property
    def reserves_core(self) -> bool:
        """Whether the search measures latencies here, on a core that no trial uses."""
        here = self.latency.command is None and self.latency.threads == 1
        return here and self.search.measures_latency

    _origin: Origin | None = PrivateAttr(default=None)

    @field_validator("methods", "ways", mode="before")
    @classmethod
    def _names_alone(cls, value: Any, info: ValidationInfo) -> Any:
        """A plain list of names stands for methods, or ways, without overrides."""
        what = "method" if info.field_name == "methods" else "way"
        if isinstance(value, list):
            return {name: {} for name in _distinct_names(value, what)}
        if isinstance(value, dict):
            return {name: {} if given is None else given for name, given in value.items()}
        raise ValueError(
            f"must be a list of names, or a section with a key for each {what}{instead(value)}"
        )

    @field_validator("students")
    @classmethod
    def _sized_by_the_data(
        cls, students: tuple[StudentSection, ...], info: ValidationInfo
    ) -> tuple[StudentSection, ...]:
        """Students without a size of their own have those of the data, where they are searched."""
        data = info.data.get("data")
        if data is None or data.image_size is None or not is_searched(data.image_size):
            return students
        return tuple(
            each
            if each.image_size is not None
            else each.model_copy(update={"image_size": data.image_size})
            for each in students
        )

    @property
    def has_ways(self) -> bool:
        """Whether students are made small by more than width and depth."""
        return set(self.ways) != {NO_WAY}

    @property
    def told_data(self) -> str:
        """Where the samples come from: ``mnist``, or ``mnist → digits`` with a target domain."""
        sources = (self.data.source, *([self.target.source] if self.target else []))
        return " → ".join(sources)

    @property
    def given_teachers(self) -> dict[str, TeacherSection]:
        """Every teacher that is trained or loaded, by name; all compare with the first."""
        return {TEACHER: self.teacher, **self.teachers}

    @property
    def teachers_in_use(self) -> dict[str, TeacherSection]:
        """Those of the given teachers that teach a trial, or that all compare with."""
        used = {each for who in self.all_teaching for each in self.teachers_behind(who)}
        return {name: given for name, given in self.given_teachers.items() if name in used}

    @property
    def with_weights(self) -> dict[KeyPath, ModelConfig]:
        """Trained teachers and students that begin with given weights, by the weights' place.

        Of a family of students, whichever has width 1 and its default depth.
        """
        given: dict[KeyPath, ModelConfig] = {
            (*teacher_path(name), "model", "weights"): teacher.model
            for name, teacher in self.teachers_in_use.items()
        }
        given |= {
            ("students", number, "weights"): ModelConfig(family=each.family, weights=each.weights)
            for number, each in enumerate(self.students)
        }
        return {place: model for place, model in given.items() if model.weights is not None}

    @property
    def taught_by(self) -> tuple[str, ...]:
        """Who may teach a trial."""
        given, specialists = self.given_teachers, self.specialists
        by_default = [name for name in given if name not in specialists]
        return self.teaching.by or (*by_default, *([BY_TASK] if specialists else []))

    @property
    def compared_with(self) -> str:
        """With whom every student is compared: the first teacher, if it knows all tasks."""
        return BY_TASK if TEACHER in self.specialists else TEACHER

    @property
    def compares_answers(self) -> bool:
        """Whether the teacher that students are compared with answers in the data's classes."""
        return all(
            self.given_teachers[name].answers for name in self.teachers_behind(self.compared_with)
        )

    @property
    def all_teaching(self) -> set[str]:
        """Who may teach a trial, and with whom every student is compared."""
        return {self.compared_with, *self.taught_by}

    def tasks_of(self, name: str) -> tuple[str, ...]:
        """The tasks that a given teacher knows, in the problem's order; empty if it knows all."""
        own, tasks = self.given_teachers[name].tasks, self.problem.tasks
        known = tuple(task for task in tasks if own is None or task in own)
        return () if len(known) == len(tasks) else known

    @property
    def specialists(self) -> dict[str, tuple[str, ...]]:
        """The given teachers that know some of the tasks alone, each with these."""
        known = {name: self.tasks_of(name) for name in self.given_teachers}
        return {name: tasks for name, tasks in known.items() if tasks}

    @property
    def answered_by(self) -> dict[str, str]:
        """Which teacher answers each task under ``by_task``: specialists come before others.

        A task that none of the teachers knows is absent.
        """
        ranked = [*self.specialists, *self.given_teachers]
        found: dict[str, str] = {}
        for name in ranked:
            for task in self.tasks_of(name) or self.problem.tasks:
                found.setdefault(task, name)
        return {task: found[task] for task in self.problem.tasks if task in found}

    def teachers_behind(self, name: str) -> tuple[str, ...]:
        """The given teachers whose answers make up those of one who may teach."""
        members = {AVERAGE: set(self.given_teachers), BY_TASK: set(self.answered_by.values())}
        return tuple(each for each in self.given_teachers if each in members.get(name, {name}))

    @property
    def text(self) -> str:
        """The file as it was given, before overrides; empty for a spec made in Python."""
        return self._origin.text if self._origin else ""

    @property
    def file(self) -> str | None:
        """The file's name as it was given."""
        return self._origin.file if self._origin else None

    def place(self, path: KeyPath) -> str:
        """Where the value at ``path`` was given: ``file:line:column``, ``--set text``, or its name.

        A path is a tuple of keys and list indices, such as ``("students", 0, "width")``.
        """
        return dotted(path) if self._origin is None else self._origin.place(path)

    def refuse(self, path: KeyPath, message: str) -> SpecError:
        """An error about the value at ``path``, with file, line and column where known."""
        if self._origin is None:
            return SpecError(f"{dotted(path)}: {message}")
        return self._origin.error(path, message)


def _distinct_names(names: list[Any], what: str) -> list[str]:
    example = "kd: {temperature: 4}" if what == "method" else "quantize: {bits: 4}"
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(
                f"item {number} of the list must be a {what}'s name{instead(name)}; a {what} with "
                f"values of its own is written as a key, such as '{example}'"
            )
        if names.index(name) < number:
            raise ValueError(f"the {what} '{brief(name)}' is named twice; remove one")
    return names
