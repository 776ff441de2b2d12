"""Configurations with every value decided: what one training is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, UserPath, Whole, each_once, listed

_BY_CLASS, _NAMED = "<class>", "<value>"


def _form(weights: Any) -> str:
    return _BY_CLASS if isinstance(weights, Mapping) else _NAMED


ClassWeights = Annotated[
    Annotated[Literal["none", "balanced"], Tag(_NAMED)]
    | Annotated[dict[str, Annotated[Number, Field(ge=0)]], Field(min_length=1), Tag(_BY_CLASS)],
    Discriminator(_form),
]
"""``none``, ``balanced``, or a weight for each class by its name."""


InputNames = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    AfterValidator(each_once("input")),
    Field(min_length=1),
]
"""Names of inputs, one alone or several as a list."""


StoredAs = Literal["float32", "float16"]
"""The precision in which weights are shipped."""


class InitialWeights(Section):
    """A file of weights that a network begins with; its name alone stands for it."""

    file: UserPath
    """A file of any kind that ``teacher.checkpoint`` takes."""
    sha256: str = ""
    """Its checksum, which identifies it in place of its path. kdsearch fills it in."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        return {"file": given} if isinstance(given, str | Path) else given


class ModelConfig(Section):
    """One network: its architecture, what it begins with, and how it is shipped."""

    family: str
    """A name that ``kdsearch models`` lists, ``torchvision/NAME``, or ``module:function``."""
    width: Number = Field(default=1.0, gt=0)
    """Multiplier of the family's channel counts."""
    depth: Whole | None = Field(default=None, ge=1)
    """Layers or blocks, as the family counts them. Absent: the family's default."""
    adopts: ModelConfig | None = None
    """The teacher whose classifier the network takes over, behind a projector (simkd)."""
    inputs: InputNames | None = None
    """Names of the inputs that it takes, in this order, of data with several inputs. Absent:
    all."""
    initial: InitialWeights | None = None
    """Weights to begin with. Absent: random weights by the seed."""
    stored: StoredAs = "float32"
    """Precision in which its weights are shipped, to which they are rounded after the training."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was added later only where it is set: files and keys of before stay as they were."""
        content: dict[str, Any] = written(self)
        for name in ("inputs", "initial", "stored"):
            if getattr(self, name) == ModelConfig.model_fields[name].default:
                content.pop(name, None)
        return content

    @property
    def architecture(self) -> ModelConfig:
        """The same without what it begins with and how it is shipped."""
        return self.model_copy(update={"initial": None, "stored": "float32"})


class TermConfig(Section):
    """One term of a distillation objective."""

    name: str
    """The name that the method gives itself."""
    hyperparameters: dict[str, Number] = {}
    """The method's own values, its ``weight`` among them; absent ones take published defaults."""


class MethodConfig(Section):
    """A distillation objective: weighted cross-entropy plus a sum of terms."""

    label: str
    """The name in the spec: terms joined by ``+``."""
    ce_weight: Number = Field(default=1.0, ge=0)
    """Weight of the cross-entropy with the labels."""
    terms: tuple[TermConfig, ...] = ()
    """The distillation terms; none at all for the undistilled baseline."""


class TrainingConfig(Section):
    """How one network is trained."""

    epochs: Whole = Field(default=10, ge=1)
    """Passes over the training split."""
    batch_size: Whole = Field(default=64, ge=2)
    """Samples a step, over all workers together."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    lr: Number = Field(default=0.05, gt=0)
    """Peak learning rate."""
    weight_decay: Number = Field(default=5e-4, ge=0)
    """L2 penalty (SGD) or decoupled decay (AdamW) on every weight."""
    momentum: Number = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD. AdamW keeps its own betas."""
    nesterov: Flag = True
    """Whether SGD's momentum is Nesterov's, as in the papers of ReviewKD, OFD and AB. The other
    published CIFAR-100 numbers were obtained without."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """How the learning rate falls: to zero along a cosine; by ``gamma`` at each of ``milestones``;
    or not at all."""
    milestones: tuple[Number, ...] = (0.625, 0.75, 0.875)
    """Fractions of the training at which ``step`` lowers the learning rate."""
    gamma: Number = Field(default=0.1, gt=0, le=1)
    """Factor of each lowering under ``step``."""
    warmup_epochs: Number = Field(default=0.0, ge=0)
    """Epochs of linear warm-up from zero."""
    clip_grad_norm: Number | None = Field(default=None, gt=0)
    """Largest norm of a step's gradient. Larger ones are scaled down to it. Absent: no limit."""
    label_smoothing: Number = Field(default=0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over the classes, in the cross-entropy alone."""
    class_weights: ClassWeights = "none"
    """Weights of the classes in the cross-entropy alone. ``balanced``: n / (K · n_k) for a class
    with n_k of n training samples. ``{NAME: weight}``: a class that is not named has 1. The mean
    weight of the samples that are drawn is scaled to 1."""
    sampling: Literal["none", "balanced"] = "none"
    """``none``: an epoch has each sample once. ``balanced``: it draws as many samples as there are,
    with replacement, each class equally often in expectation."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the student's forward pass (autocast). ``auto``: bfloat16 on a GPU that has it,
    else float32. Losses and weights are always float32. In float32, NVIDIA GPUs from Ampere on
    compute convolutions in TF32 (10 bits of mantissa), which is PyTorch's default, and matrix
    products in whole float32. With ``NVIDIA_TF32_OVERRIDE=0`` in the environment (on a cluster,
    that of its nodes) convolutions are whole float32 too."""

    @model_validator(mode="after")
    def _possible(self) -> TrainingConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs:g}) must be below epochs ({self.epochs})"
            )
        if self.class_weights == self.sampling == "balanced":
            raise ValueError(
                "class_weights and sampling are both balanced, which would even the classes out "
                "twice; set one of them to none"
            )
        if not all(0 < mark < 1 for mark in self.milestones):
            raise ValueError("milestones are fractions of the training, each between 0 and 1")
        return self
