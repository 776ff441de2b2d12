"""Which methods can work on which pairs of teacher and student, known before anything trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch

from kdsearch.compression import check_cut
from kdsearch.compression.matching import misfit
from kdsearch.errors import MethodError, ModelError, described
from kdsearch.methods import Method, Objective, needs_teacher, parse_label
from kdsearch.methods.task_loss import TaskLoss
from kdsearch.models import SignalShapes, build_network
from kdsearch.models.inputs import Inputs
from kdsearch.models.libraries.catalogue import with_own_view
from kdsearch.space.architectures import Architectures
from kdsearch.space.nearest import otherwise, why_none
from kdsearch.space.starts import beginning
from kdsearch.spec.concrete import MethodConfig, ModelConfig
from kdsearch.spec.ranges import Range, every, extremes
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import AVERAGE, BORN_AGAIN, BY_TASK, MUTUAL, called
from kdsearch.training.stages import origin_width, stage_model, stages_of
from kdsearch.training.teacher import shapes_of_logits
from kdsearch.training.teacher_store import describe
from kdsearch.ways import Stage, make_ways, staging

NOBODY = ""
"""Who teaches a student by methods that need no teacher."""


def keyed_students(students: Sequence[StudentSection]) -> dict[str, StudentSection]:
    """Students by a name for their parameters: the family, numbered when it stands twice."""
    keyed: dict[str, StudentSection] = {}
    for section in students:
        key, count = section.family, 1
        while key in keyed:
            count += 1
            key = f"{section.family}#{count}"
        keyed[key] = section
    return keyed


def corners(section: StudentSection) -> Iterator[ModelConfig]:
    """The students at the ends of a family's widths and sizes of images, at every depth that the
    space can reach.

    What they begin with is not said. Of several precisions to ship in, in the one of fewest bytes:
    nothing else depends on it.
    """
    depth, widths = section.depth, sorted({float(value) for value in extremes(section.width)})
    depths: Sequence[int | None] = [None]
    if isinstance(depth, Range):
        depths = range(int(depth.low), int(depth.high) + 1, int(depth.step or 1))
    elif depth is not None:
        depths = [int(value) for value in dict.fromkeys(every(depth))]
    size = section.image_size
    sides = [None] if size is None else sorted({int(value) for value in extremes(size)})
    for reached in depths:  # a range may be as long as somebody mistypes it
        for width, side in product(widths, sides):
            yield ModelConfig(
                family=section.family,
                width=width,
                depth=reached,
                round_to=section.round_to,
                inputs=section.inputs,
                image_size=side,
                normalise=section.normalise,
                stored=section.smallest_stored,
            )


def every_start(section: StudentSection, spec: StudySpec, inputs: Inputs) -> Iterator[ModelConfig]:
    """The :func:`corners` of a family with each of what its students may begin with."""
    for model, init in product(corners(section), section.inits):
        yield beginning(model, init, section, spec, None, inputs)


def _check_initial(terms: Sequence[type[Method]], teacher: str, student: ModelConfig) -> None:
    """Refuse what would make nothing of the weights that a student begins with, or is cut from."""
    way = staging(make_ways(student.ways))
    if way is not None and teacher in (BORN_AGAIN, MUTUAL):
        raise MethodError(
            f"{way.name} cuts a student while it is trained, and {teacher} trains another of its "
            "size beside it or before; leave one out"
        )
    for term in terms:
        if way is not None and "initialisation" in term.hyperparameters:
            raise MethodError(
                f"{term.name} prepares a student in its first epochs, and each stage of {way.name} "
                "would begin with that; leave one out"
            )
    if way is not None:
        whose = f"the wider network of {way.name}"
    elif student.init == "random":
        return
    else:
        whose = "a file" if student.init == "pretrained" else "a teacher"
    for term in terms:
        if term.adopts_classifier or term.kind == "parameter":
            raise MethodError(
                f"{term.name} sets weights of the student itself, and {student.family} begins with "
                f"those of {whose}; leave one out"
            )
    if teacher == MUTUAL:
        raise MethodError(
            f"{MUTUAL} trains two students that differ by what they begin with, and "
            f"{student.family} begins with the weights of {whose}; leave one out"
        )


def adopting(label: str, student: ModelConfig, teacher: ModelConfig) -> ModelConfig:
    """The student as a method trains it: with the teacher's classifier where the method says so."""
    if any(term.adopts_classifier for term in parse_label(label)):
        return student.model_copy(update={"adopts": with_own_view(teacher).architecture})
    return student


def who_teaches(spec: StudySpec, label: str) -> tuple[str, ...]:
    """Who may teach by a method: :data:`NOBODY` alone where it needs no teacher."""
    return spec.taught_by if needs_teacher(label) else (NOBODY,)


class Pairs:
    """Tells whether a method works on a pair of teacher and student.

    Attributes:
        inputs: Of a sample of the data.
    """

    def __init__(self, spec: StudySpec, architectures: Architectures) -> None:
        self._spec = spec
        self._architectures = architectures
        self.inputs = architectures.inputs

    def reason(self, method: MethodConfig, teacher: str, student: ModelConfig) -> str:
        """Why a method cannot work on a pair; empty where it can.

        The student may have adopted the teacher's classifier already, or not.
        """
        try:
            terms = parse_label(method.label)
            self._check_terms(terms, teacher)
            _check_initial(terms, teacher, student)
            self._check_start(student)
            if teacher == MUTUAL and method.ce_weight == 0:
                raise MethodError(
                    f"{method.label} does without labels (ce_weight 0), and two students that "
                    "teach each other would then see none; set ce_weight above 0"
                )
            shapes = self._shapes(method.label, teacher, student)
            # a plug-in may compute with its tensors, which have no values on the meta device
            own = all(term.__module__.startswith("kdsearch.") for term in terms)
            with torch.random.fork_rng(devices=[]), torch.device("meta" if own else "cpu"):
                Objective(method, *shapes, [TaskLoss(head) for head in self._architectures.heads])
        except (MethodError, ModelError) as error:
            return str(error)
        except Exception as error:  # a plug-in's own code
            return f"{method.label} failed with {described(error)}; fix the method"
        return ""

    def unfit_start(self, student: ModelConfig) -> str:
        """Why a student cannot begin with the channels of its teacher, or of a finalist of an
        earlier study, or why its ways make nothing of it; empty where it can."""
        try:
            self._check_start(student)
        except ModelError as error:
            return str(error)
        return ""

    def _check_start(self, student: ModelConfig) -> None:
        """Refuse a student that is no smaller one of the teacher that it is cut from, or that finds
        none to begin with in an earlier study."""
        if lacking := why_none(student, self.inputs):
            raise ModelError(f"{lacking}; {otherwise(random=False)}")
        if student.ways:
            self._architectures.size(student)  # which a way may make nothing of
            self._check_stages(student)
        name = student.cut_from
        if name is None:
            return
        given, alone = self._spec.given_teachers[name].model, self._spec.tasks_of(name)
        plain = student.model_copy(update={"adopts": None, "ways": ()})
        own = self._architectures.shapes(plain)
        theirs = self._architectures.of_tasks(alone).shapes(given)
        reason = misfit(own.weights, theirs.weights)
        if own.inputs != theirs.inputs:
            reason = "their inputs differ"
        if reason is not None:
            raise ModelError(
                f"{describe(student)} cannot be cut from the {called(name)} ({describe(given)}): "
                f"{reason}"
            )

    def _check_stages(self, student: ModelConfig) -> None:
        """Refuse a student that cannot be cut from wider ones, or has no channels to lose."""
        way = staging(make_ways(student.ways))
        if way is None:
            return
        if student.earlier is not None:
            raise ModelError(
                f"{way.name} begins with a wider network, and weights of an earlier study are of "
                f"the student's own size; leave {way.name} out, or begin with other weights"
            )
        for stage in stages_of(student.ways, self._epochs)[:-1]:
            wider = self._stage_model(student, stage)
            self._check_start(wider)
            if self._size(wider) <= self._size(student.model_copy(update={"ways": ()})):
                raise ModelError(
                    f"{way.name}: {describe(wider)} has no more channels than the student; raise "
                    "the way's factor, or narrow the student"
                )

    def uncut(self, student: ModelConfig) -> str:
        """Why a student cannot be cut from the wider networks that its training begins with, found
        out by doing it; empty where it can.
        """
        narrow = student.model_copy(update={"ways": ()})
        for stage in reversed(stages_of(student.ways, self._epochs)[:-1]):
            wide = self._stage_model(student, stage)
            with torch.random.fork_rng(devices=[]):
                outputs = self._architectures.outputs
                source, target = (build_network(m, self.inputs, outputs) for m in (wide, narrow))
                try:
                    check_cut(source, target, student.importance)
                except ModelError as error:
                    return str(error)
            narrow = wide
        return ""

    @property
    def _epochs(self) -> int:
        """Of the shortest training of a search, if it is not cut from another trial's."""
        epochs, search = self._spec.training.epochs, self._spec.search
        return search.ladder.shortened(epochs) if search.strategy == "ladder" else epochs

    def _stage_model(self, student: ModelConfig, stage: Stage) -> ModelConfig:
        """The network of an early stage of a student's training."""
        return stage_model(student, stage, origin_width(self._spec, student))

    def _size(self, model: ModelConfig) -> int:
        return self._architectures.size(model).parameters

    def _check_terms(self, terms: Sequence[type[Method]], teacher: str) -> None:
        for term in terms:
            mixes = self._spec.data.augment.mixes
            if term.by_sample and mixes:
                raise MethodError(
                    f"{term.name} remembers samples one by one, and {' and '.join(mixes)} "
                    f"{'blends' if len(mixes) == 1 else 'blend'} them; set "
                    f"{' and '.join(f'data.augment.{name}' for name in mixes)} to 0"
                )
            takes = term.adopts_classifier or term.kind == "parameter"
            if takes and teacher in (AVERAGE, BY_TASK, BORN_AGAIN, MUTUAL):
                raise MethodError(
                    f"{term.name} takes over weights of one teacher given in the file, which "
                    f"{AVERAGE}, {BY_TASK}, {BORN_AGAIN} and {MUTUAL} are not"
                )

    def _shapes(
        self, label: str, teacher: str, student: ModelConfig
    ) -> tuple[SignalShapes, SignalShapes]:
        shapes_of = self._architectures.shapes
        if teacher in (BORN_AGAIN, MUTUAL, NOBODY):
            return shapes_of(student), shapes_of(student)
        if teacher in (AVERAGE, BY_TASK):
            return shapes_of(student), shapes_of_logits(self._architectures.outputs)
        given = self._spec.given_teachers[teacher].model
        return shapes_of(adopting(label, student, given)), shapes_of(given)
