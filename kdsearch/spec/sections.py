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


def _told(values: str) -> Any:
    """The bound of a dimension in the schema, from which the page on the keys is written."""
    return Field(json_schema_extra={"values": values})


PositiveDimension = Annotated[Dimension, AfterValidator(_positive), _told("above 0")]
NotNegativeDimension = Annotated[Dimension, AfterValidator(_not_negative), _told("at least 0")]
ShareDimension = Annotated[
    Dimension,
    AfterValidator(_not_negative),
    AfterValidator(_below_one),
    _told("at least 0 and below 1"),
]
WholeDimension = Annotated[Dimension, AfterValidator(_whole), _told("whole, at least 1")]


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
    """Seed of the study, from which all its random numbers follow."""
    directory: UserPath = Path("studies")
    """Folder that holds the studies and the trained teachers."""


class DataSection(Section):
    """``data``: where the samples come from and how they are split."""

    source: str
    """``digits``, ``mnist``, ``fashion_mnist``, ``cifar10``, ``cifar100``, ``image_folder``,
    ``table``, or ``module:function`` of your own."""
    root: UserPath | None = None
    """Folder of the data set, for sources that read files. Absent: for ``table``, the table's
    folder."""
    table: TableSection | None = None
    """The file of the source ``table``, and the names of its columns."""
    download: Flag = False
    """Let torchvision fetch a data set that is not in ``root``."""
    validation: Number = Field(default=0.1, gt=0, lt=1)
    """Share of the training data that is kept for validation, for sources without a validation
    split. It is drawn class by class from the samples that have a target."""
    test: Number = Field(default=0.2, gt=0, lt=1)
    """Share that is kept for the test, for sources without a test split. It is drawn alike."""
    limit: Whole | None = Field(default=None, ge=2)
    """Use only so many samples, training and validation together. They are drawn class by class; of
    samples without a target the same share is kept. Absent: all."""
    image_size: Whole | None = Field(default=None, ge=4)
    """Side in pixels to which ``image_folder`` and ``table`` crop and resize their images. Absent:
    images must all have one size."""
    background: Colour = "white"
    """What ``image_folder`` and ``table`` put behind transparent images: a colour's name, or
    ``"#rrggbb"``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the split. It is apart from the study's, so that studies can share a teacher."""
    augment: Augmentation = Augmentation()
    """Random changes of the training images."""
    options: Options = {}
    """Keyword arguments for a source of your own."""


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
    """Layers or blocks, as the family counts them. Absent: the family's default."""
    inputs: InputNames | None = None
    """Names of the inputs that the students take, of data with several inputs. Absent: all."""
    initial: InitialWeights | None = None
    """A file of weights that the students begin with. It fits one width and depth alone. Absent:
    random weights."""
    stored: Annotated[
        tuple[StoredAs, ...],
        BeforeValidator(listed),
        AfterValidator(each_once("precision")),
        Field(min_length=1),
    ] = ("float32",)
    """Precision in which weights are shipped. They are rounded to it after the training. A list of
    both is searched."""


class TrialTraining(TrainingConfig):
    """``training``: how every trial is trained; rate, decay and smoothing may be searched."""

    lr: PositiveDimension = 0.05  # type: ignore[assignment]
    """Peak learning rate, or a range of it."""
    weight_decay: NotNegativeDimension = 5e-4  # type: ignore[assignment]
    """Weight decay, or a range of it."""
    label_smoothing: ShareDimension = 0.0  # type: ignore[assignment]
    """Share of the target that is spread evenly over the classes, in the cross-entropy alone, or a
    range of it."""


SEARCHED_TRAINING = ("lr", "weight_decay", "label_smoothing")
"""What of a trial's training may be searched."""


class FinalistsSection(Section):
    """``finalists``: how the members of the front are judged."""

    seeds: Whole = Field(default=3, ge=2)
    """Trainings of every finalist and of its undistilled baseline, each with its own seed."""
    max: Whole = Field(default=8, ge=1)
    """Largest number of finalists. They are spread evenly along the front."""
    share: Number | None = Field(default=None, gt=0)
    """What finalists and baselines may cost together, as a share of the predicted cost of the
    search. Fewer finalists are judged where it is not enough, but always one. Absent: no limit."""
    latency: Flag = True
    """Whether latency and memory of every finalist and of the teacher are measured at the end, when
    nothing else of the study runs."""
    int8: Flag = True
    """Whether every training of a finalist and of its baseline is quantized to 8 bits after its
    end, and scored as onnxruntime runs it."""


class ResourcesSection(Section):
    """``resources``: what trainings may use of the machine or cluster."""

    concurrent: Whole = Field(default=2, ge=1)
    """Number of trials that run at a time."""
    cpus_per_trial: Whole = Field(default=1, ge=1)
    """CPU cores, and PyTorch threads, of a trial and of each worker of the teacher's training."""
    gpus_per_trial: Annotated[Number, AfterValidator(_one_gpu)] = Field(default=0.0, ge=0)
    """Share of a GPU that a trial has, up to 1. A worker of the teacher's training has a whole GPU
    if this is above 0."""
    loaders: Whole = Field(default=1, ge=0)
    """Processes of a trial that read images, where these do not fit in memory or on the GPU."""
    storage: str | None = None
    """Where paused and running trials are saved: a folder that all nodes share, or a URI such as
    ``s3://bucket/folder``. Absent: ``tune`` in the study's folder."""
    checkpoint_minutes: Number = Field(default=5.0, gt=0)
    """Minutes between two checkpoints of a running trial. Each is written after a whole epoch."""
    max_restarts: Whole = Field(default=3, ge=0)
    """How often a trial is resumed at the same checkpoint after its process, node or disk has
    failed. Then it counts as failed."""
    trial_timeout: Number | None = Field(default=None, gt=0)
    """Seconds after which an epoch of a trial is taken for hung, and the trial fails. Absent: six
    hours, or ten times the longest epoch before it in its process where that is more."""
    compile: Flag | None = None
    """Compile students of kdsearch's own families (``torch.compile``). Absent: on a GPU, in
    trainings of at least 10,000 steps."""

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
    """Gigabytes (10⁹ bytes) that all caches of the folder may take. 0: nothing is cached."""
    signals: tuple[SignalName, ...] = get_args(SignalName)
    """Signals that may be cached, of those that the methods read. The smallest are cached first, as
    far as they fit."""
    dtype: Literal["float32", "float16"] = "float32"
    """How signals are stored: ``float32`` as they are, ``float16`` in half the space."""
    top_k: Whole | None = Field(default=None, ge=1)
    """Store only so many of the largest logits, and the mean of the others. Absent: all."""
    folder: UserPath | None = None
    """Where caches are kept. Absent: ``.cache`` in ``study.directory``."""
    workers: Whole | None = Field(default=None, ge=0)
    """Ray Train workers that build caches ahead of the search. Absent: as many as trials run at a
    time where building takes minutes, else 0, and the trials build what they need first."""
    ahead: Whole | None = Field(default=None, ge=1)
    """Epochs that these workers build. The trials build the rest. Absent: a quarter of a
    trial's."""


class TrackingSection(Section):
    """``tracking``: the MLflow store."""

    uri: str | None = None
    """MLflow tracking URI. Absent: ``MLFLOW_TRACKING_URI``, else MLflow's own default."""
    experiment: str = Field(default="kdsearch", min_length=1)
    """MLflow experiment in which the study's runs are kept."""
