"""``teacher`` and ``students``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.concrete import (
    FamilyName,
    Importance,
    Init,
    InitialWeights,
    InputNames,
    ModelConfig,
    Normalisation,
    StoredAs,
    TrainingConfig,
)
from kdsearch.spec.dimensions import PositiveDimension, SideDimension, WholeDimension
from kdsearch.spec.values import UserPath, Whole, each_once, listed


def _check_source(weights: InitialWeights | None) -> None:
    """Refuse what kdsearch fills in of a student of an earlier study."""
    if weights is not None and weights.student is not None:
        raise ValueError("weights.student is set by kdsearch; remove it, and give the study alone")


class TeacherSection(Section):
    """``teacher``: the network that the students learn from."""

    model: ModelConfig
    """Its architecture."""
    tasks: tuple[str, ...] | None = None
    """The tasks of ``problem.tasks`` that it has outputs for. Absent: all."""
    checkpoint: UserPath | None = None
    """Weights to load in place of a training: a ``.safetensors`` file, a PyTorch state dict of the
    network itself, or the checkpoint of a training script. Of a checkpoint with weights and their
    average, the weights are taken. Absent: the teacher is trained."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained where no checkpoint is given."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of its training. It is apart from the study's, so that studies can share a teacher."""
    workers: Whole = Field(default=1, ge=1)
    """Ray Train workers (distributed data parallel)."""

    @property
    def is_trained(self) -> bool:
        """Whether the study trains it; else it is taken as it is."""
        return self.checkpoint is None and self.model.outputs is None

    @property
    def answers(self) -> bool:
        """Whether its outputs say something of the classes of the data."""
        return self.model.outputs is None or bool(self.model.stands_for)

    @model_validator(mode="after")
    def _own_classifier(self) -> TeacherSection:
        if self.model.adopts is not None:
            raise ValueError("model.adopts is set by the method simkd; remove it")
        if self.model.stored != "float32":
            raise ValueError("model.stored is for students, which are shipped; remove it")
        if self.model.cut_from is not None:
            raise ValueError("model.cut_from is for students (students[].init); remove it")
        if self.model.ways:
            raise ValueError("model.ways is for students (the section ways); remove it")
        _check_source(self.model.weights)
        if self.checkpoint is not None and self.model.weights is not None:
            raise ValueError(
                "checkpoint is the trained teacher, and model.weights what a training begins with; "
                "remove one"
            )
        return self

    @model_validator(mode="after")
    def _labelled(self) -> TeacherSection:
        if self.training.unlabelled_ratio is not None:
            raise ValueError(
                "training.unlabelled_ratio has no effect, since a teacher is trained on labelled "
                "samples alone; remove it"
            )
        return self

    @model_validator(mode="after")
    def _other_classes(self) -> TeacherSection:
        model = self.model
        if model.outputs is not None and self.checkpoint is None and model.weights is None:
            raise ValueError(
                "model.outputs is for a teacher of other classes, which cannot be trained on these "
                "data; give its checkpoint or model.weights, or remove model.outputs"
            )
        if model.stands_for and not model.outputs:
            raise ValueError("model.stands_for names outputs; give their number in model.outputs")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> TeacherSection:
        if self.training.batch_size % self.workers:
            raise ValueError(
                f"training.batch_size ({self.training.batch_size}) must be a multiple of "
                f"workers ({self.workers})"
            )
        return self


class StudentSection(Section):
    """``students``: one family of students with the widths and depths to search."""

    family: FamilyName
    """A name that ``kdsearch models`` lists, one of a library such as ``torchvision/NAME``, or
    ``module:function``."""
    width: PositiveDimension = 1.0
    """Multiplier of the family's channel counts."""
    depth: WholeDimension | None = None
    """Layers or blocks, as the family counts them. Absent: the family's default."""
    round_to: Whole | None = Field(default=None, ge=2, le=1024)
    """What channel counts become multiples of, such as 8 where a device computes fastest then.
    Absent: the family's own rounding."""
    inputs: InputNames | None = None
    """Names of the inputs that the students take, of data with several inputs. Absent: all."""
    weights: InitialWeights | None = None
    """Weights that the students begin with: ``default`` or a tag of the family's library, or a
    file. They are of a network of one width and depth, or of width 1; narrower students keep the
    most important channels of that. Or the folder of an earlier study: each student begins with
    the nearest of its finalists."""
    init: (
        Annotated[
            tuple[Init, ...],
            BeforeValidator(listed),
            AfterValidator(each_once("start")),
            Field(min_length=1),
        ]
        | None
    ) = None
    """What they begin with: random weights, ``weights`` (pretrained), or the most important
    channels of a trained teacher of their family. A list is searched. Absent: ``weights`` where
    they are given, else random ones."""
    importance: Annotated[
        tuple[Importance, ...],
        BeforeValidator(listed),
        AfterValidator(each_once("importance")),
        Field(min_length=1),
    ] = ("magnitude",)
    """What decides which channels are kept: the norm of a channel's weights, the scale of its batch
    normalisation, or its activation on some training samples. ``taylor``: the norm of its weights
    times the gradients of the loss on some training samples. A list is searched, but for the chains
    of a ladder, which have the first."""
    image_size: SideDimension | None = None
    """Side in pixels to which the students resize the images of the data. Absent: what
    ``data.image_size`` may be, where that is searched; else that of ``weights``, where a library
    has them; else that of the data."""
    normalise: Normalisation | None = None
    """What images were normalised by when ``weights`` were trained. Absent: what a library says of
    them, else the mean and deviation of the training split."""
    stored: Annotated[
        tuple[StoredAs, ...],
        BeforeValidator(listed),
        AfterValidator(each_once("precision")),
        Field(min_length=1),
    ] = ("float32",)
    """Precision in which weights are shipped. They are rounded to it after the training. A list of
    both is searched."""

    @property
    def inits(self) -> tuple[Init, ...]:
        """What they may begin with."""
        return self.init or ("random" if self.weights is None else "pretrained",)

    @property
    def smallest_stored(self) -> StoredAs:
        """The precision of fewest bytes that they may be shipped in."""
        return "float16" if "float16" in self.stored else "float32"

    @model_validator(mode="after")
    def _with_weights(self) -> StudentSection:
        _check_source(self.weights)
        if "pretrained" in self.inits and self.weights is None:
            raise ValueError("init pretrained needs weights; give a file or default, or remove it")
        if self.weights is not None and "pretrained" not in self.inits:
            raise ValueError("weights are for init pretrained, which init lacks; remove one")
        return self
