"""The sections of a search-space file, field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kdsearch.spec.augmentation import Augmentation
from kdsearch.spec.base import Section
from kdsearch.spec.concrete import (
    InitialWeights,
    InputNames,
    ModelConfig,
    StoredAs,
    TrainingConfig,
)
from kdsearch.spec.ranges import Dimension, Range, every
from kdsearch.spec.table import TableSection
from kdsearch.spec.values import (
    Colour,
    Flag,
    Number,
    Options,
    UserPath,
    Whole,
    each_once,
    listed,
)


def _positive(dimension: Any) -> Any:
    for value in every(dimension):
        if value <= 0:
            raise ValueError(f"must be above 0, not {value:g}")
    return dimension


def _not_negative(dimension: Any) -> Any:
    for value in every(dimension):
        if value < 0:
            raise ValueError(f"must be at least 0, not {value:g}")
    return dimension


def _below_one(dimension: Any) -> Any:
    for value in every(dimension):
        if value >= 1:
            raise ValueError(f"must be below 1, not {value:g}")
    return dimension


def _whole(dimension: Any) -> Any:
    steps = (dimension.step,) if isinstance(dimension, Range) and dimension.step else ()
    for value in (*every(dimension), *steps):
        if value != int(value) or value < 1:
            raise ValueError(f"must be a whole number of at least 1, not {value:g}")
    return dimension


def _one_gpu(share: float) -> float:
    if share > 1:
        raise ValueError(
            f"must be at most 1, not {share:g}: a trial is one process on one GPU; let "
            "concurrent trials share the others"
        )
    return share


PositiveDimension = Annotated[Dimension, AfterValidator(_positive)]
NotNegativeDimension = Annotated[Dimension, AfterValidator(_not_negative)]
ShareDimension = Annotated[NotNegativeDimension, AfterValidator(_below_one)]
WholeDimension = Annotated[Dimension, AfterValidator(_whole)]


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"must be letters, digits, '_', '.' and '-' that start with a letter or digit, not "
            f"{name!r}"
        )
    return name


class Identity(Section):
    """``study``: its name, its seed and where it is kept."""

    name: Annotated[str, AfterValidator(_file_name)] = Field(max_length=80)
    """Name of the study and of its directory: letters, digits, ``_``, ``.`` and ``-``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """The one seed from which every random stream of the study derives by name."""
    directory: UserPath = Path("studies")
    """Folder that holds the studies and the trained teachers."""


class DataSection(Section):
    """``data``: where the images come from and how they are split."""

    source: str
    """A name of kdsearch's sources, or ``module:function`` of your own."""
    root: UserPath | None = None
    """Folder of the data set, for sources that read files; absent: the table's, for ``table``."""
    table: TableSection | None = None
    """The file of the source ``table``, and the names of its columns."""
    download: Flag = False
    """Let torchvision fetch a data set that is not in ``root``."""
    validation: Number = Field(default=0.1, gt=0, lt=1)
    """Share of the training data set aside for the search, for sources that have no validation
    split of their own; drawn class by class, of the samples that have a target."""
    test: Number = Field(default=0.2, gt=0, lt=1)
    """Share set aside for the test, for sources that have no test split of their own, likewise."""
    limit: Whole | None = Field(default=None, ge=2)
    """Use only this many training and validation samples together, drawn class by class, and of
    those without a target the same share."""
    image_size: Whole | None = Field(default=None, ge=4)
    """Side in pixels to which ``image_folder`` and ``table`` crop and resize their images."""
    background: Colour = "white"
    """What ``image_folder`` and ``table`` put behind transparent images: a colour's name, or
    ``"#rrggbb"``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the split, apart from the study's, so that studies can share a teacher."""
    augment: Augmentation = Augmentation()
    """Random changes of the training images."""
    options: Options = {}
    """Keyword arguments for a source of your own."""


class TeacherSection(Section):
    """``teacher``: the network that the students learn from."""

    model: ModelConfig
    """Its architecture."""
    tasks: tuple[str, ...] | None = None
    """The tasks of ``problem.tasks`` that it knows: it has outputs for them alone; absent: all."""
    checkpoint: UserPath | None = None
    """Weights to load in place of a training: ``.safetensors``, a PyTorch state dict of the network
    itself, or a training script's checkpoint; of weights and their average, the weights."""
    training: TrainingConfig = TrainingConfig()
    """How it is trained when no checkpoint is given."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of its training, apart from the study's, so that studies can share a teacher."""
    workers: Whole = Field(default=1, ge=1)
    """Ray Train workers (distributed data parallel)."""

    @model_validator(mode="after")
    def _own_classifier(self) -> TeacherSection:
        if self.model.adopts is not None:
            raise ValueError("model.adopts is set by the method simkd; remove it")
        if self.model.stored != "float32":
            raise ValueError("model.stored is for students, which are shipped; remove it")
        if self.checkpoint is not None and self.model.initial is not None:
            raise ValueError(
                "checkpoint is the trained teacher, and model.initial what a training begins with; "
                "remove one"
            )
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

    family: str
    """A name that ``kdsearch models`` lists, ``torchvision/NAME``, or ``module:function``."""
    width: PositiveDimension = 1.0
    """Multiplier of the family's channel counts."""
    depth: WholeDimension | None = None
    """Layers or blocks as the family counts them; the family's default when absent."""
    inputs: InputNames | None = None
    """Of data with several inputs, the names of those that the students take; absent: all."""
    initial: InitialWeights | None = None
    """A file of weights that the students begin with, which fits one width and depth alone."""
    stored: Annotated[
        tuple[StoredAs, ...],
        BeforeValidator(listed),
        AfterValidator(each_once("precision")),
        Field(min_length=1),
    ] = ("float32",)
    """Precision in which weights are shipped, to which they are rounded after the training:
    ``float32``, ``float16``, or a list of both to search."""


class TrialTraining(TrainingConfig):
    """``training``: how every trial is trained; rate, decay and smoothing may be searched."""

    lr: PositiveDimension = 0.05  # type: ignore[assignment]
    """Peak learning rate, or a range of it."""
    weight_decay: NotNegativeDimension = 5e-4  # type: ignore[assignment]
    """Weight decay, or a range of it."""
    label_smoothing: ShareDimension = 0.0  # type: ignore[assignment]
    """Share of the target spread evenly over the classes, in the cross-entropy alone, or a range
    of it."""


SEARCHED_TRAINING = ("lr", "weight_decay", "label_smoothing")
"""What of a trial's training may be searched."""


class FinalistsSection(Section):
    """``finalists``: how the members of the front are judged."""

    seeds: Whole = Field(default=3, ge=2)
    """Trainings of every finalist and of its undistilled baseline, each with its own seed."""
    max: Whole = Field(default=8, ge=1)
    """At most so many finalists, spread evenly along the front."""
    share: Number | None = Field(default=None, gt=0)
    """What finalists and baselines may take together, as a share of the search's predicted
    cost; fewer are judged where it is not enough, but one. Absent: no limit."""


class ResourcesSection(Section):
    """``resources``: what trainings may use of the machine or cluster."""

    concurrent: Whole = Field(default=2, ge=1)
    """Trials at a time."""
    cpus_per_trial: Whole = Field(default=1, ge=1)
    """Processor cores, and PyTorch threads, of a trial and of a teacher worker."""
    gpus_per_trial: Annotated[Number, AfterValidator(_one_gpu)] = Field(default=0.0, ge=0)
    """Share of a GPU that a trial has, up to 1; a teacher worker has a whole one if any."""
    loaders: Whole = Field(default=1, ge=0)
    """Processes of a trial that read images which do not fit in memory or on the GPU."""
    storage: str | None = None
    """Where paused and running trials are saved: a folder that all nodes share, or a URI such as
    ``s3://bucket/folder``; absent: ``tune`` in the study's folder."""
    checkpoint_minutes: Number = Field(default=5.0, gt=0)
    """Minutes between two checkpoints of a running trial, each after a whole epoch."""
    max_restarts: Whole = Field(default=3, ge=0)
    """How often a trial whose process, node or disk fails goes on from its last checkpoint without
    having come further; then it counts as failed."""
    trial_timeout: Number | None = Field(default=None, gt=0)
    """Seconds after which an epoch of a trial is taken for hung, and the trial fails; absent: six
    hours, or ten times the longest epoch before it in its process where that is more."""
    compile: Flag | None = None
    """Compile students of kdsearch's own families (``torch.compile``); absent: on a GPU, in
    trainings of 10,000 steps."""

    @property
    def devices_per_trial(self) -> float:
        """What a trial's hours are counted by: its GPUs or, without any, its cores."""
        return self.gpus_per_trial or self.cpus_per_trial


SignalName = Literal[
    "logits", "embedding", "attention", "features", "preactivation", "self_attention"
]
"""What can be read of a teacher."""


class CacheSection(Section):
    """``cache``: the teacher's signals on disk, so that trials need not run it again."""

    disk_gb: Number = Field(default=20.0, ge=0)
    """Gigabytes (10⁹ bytes) that all caches of the folder may take; 0 keeps nothing."""
    signals: tuple[SignalName, ...] = get_args(SignalName)
    """What may be kept, of what the methods read; the smallest first, while it fits."""
    dtype: Literal["float32", "float16"] = "float32"
    """How signals are stored: float32 as they are, float16 in half the space."""
    top_k: Whole | None = Field(default=None, ge=1)
    """Of the logits, keep only so many of the largest, and the mean of the others."""
    folder: UserPath | None = None
    """Where caches are kept; absent: ``.cache`` in the study's directory."""
    workers: Whole | None = Field(default=None, ge=0)
    """Ray Train workers that build ahead of the search; absent: as many as trials run at a time
    where building takes minutes, else 0, and the trials build what they need first."""
    ahead: Whole | None = Field(default=None, ge=1)
    """Epochs that the workers build; absent: a quarter of a trial's. The trials build the rest."""


class TrackingSection(Section):
    """``tracking``: the MLflow store."""

    uri: str | None = None
    """MLflow tracking URI; absent: ``MLFLOW_TRACKING_URI``, else MLflow's own default."""
    experiment: str = Field(default="kdsearch", min_length=1)
    """MLflow experiment in which the study's runs are kept."""
