"""How one network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.concrete.fine_tuning import FineTuning
from kdsearch.spec.values import Flag, Number, Whole

_BY_CLASS, _NAMED = "<class>", "<value>"


def _form(weights: Any) -> str:
    return _BY_CLASS if isinstance(weights, Mapping) else _NAMED


ClassWeights = Annotated[
    Annotated[Literal["none", "balanced"], Tag(_NAMED)]
    | Annotated[dict[str, Annotated[Number, Field(ge=0)]], Field(min_length=1), Tag(_BY_CLASS)],
    Discriminator(_form),
]
"""``none``, ``balanced``, or a weight for each class by its name."""


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
    decay_norms: Flag = True
    """Whether weight decay holds for biases and the scales of normalisations too, which are the
    weights of one dimension."""
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
    unlabelled_ratio: Number | None = Field(default=None, gt=0)
    """Unlabelled samples of a batch for each labelled one, where a method learns from both. Samples
    of either kind come again as often as needed. The cross-entropy keeps its size. Absent: samples
    come in a random order, each once an epoch."""
    target_ratio: Number | None = Field(default=None, gt=0)
    """Samples of the target domain in a batch for each of the source domain's, in a study with
    ``target`` where a training learns from both. Samples of either come again as often as needed.
    The cross-entropy keeps its size. Absent: 1."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the student's forward pass (autocast). ``auto``: bfloat16 on a GPU that has it,
    else float32. Losses and weights are always float32. In float32, NVIDIA GPUs from Ampere on
    compute convolutions in TF32 (10 bits of mantissa), which is PyTorch's default, and matrix
    products in whole float32. With ``NVIDIA_TF32_OVERRIDE=0`` in the environment (on a cluster,
    that of its nodes) convolutions are whole float32 too."""
    ema: Number | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights and batch statistics over the steps,
    which is what is scored after each epoch, shipped and used as a teacher. Step t keeps
    min(``ema``, (1 + t) / (10 + t)) of the average, so that a short training does not lag behind.
    Absent: the weights themselves."""
    fine_tuning: FineTuning | None = None
    """How a network that begins with ``weights`` is trained further. Absent: as any other."""

    @property
    def streams(self) -> tuple[int, int] | None:
        """Labelled and unlabelled samples of a batch, at least one of each.

        ``None`` where ``unlabelled_ratio`` does not say.
        """
        return None if self.unlabelled_ratio is None else self._shared(self.unlabelled_ratio)

    @property
    def domain_streams(self) -> tuple[int, int]:
        """Samples of the source and of the target domain in a batch, at least one of each."""
        return self._shared(1.0 if self.target_ratio is None else self.target_ratio)

    def _shared(self, ratio: float) -> tuple[int, int]:
        """A batch in two parts, the second ``ratio`` times as large as the first."""
        first = min(max(round(self.batch_size / (1 + ratio)), 1), self.batch_size - 1)
        return first, self.batch_size - first

    @model_validator(mode="after")
    def _possible(self) -> TrainingConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs:g}) must be below epochs ({self.epochs})"
            )
        if self.fine_tuning is not None and self.fine_tuning.head_epochs >= self.epochs:
            raise ValueError(
                f"fine_tuning.head_epochs ({self.fine_tuning.head_epochs}) must be below epochs "
                f"({self.epochs}); to train the head alone, set fine_tuning.freeze=backbone"
            )
        if self.class_weights == self.sampling == "balanced":
            raise ValueError(
                "class_weights and sampling are both balanced, which would even the classes out "
                "twice; set one of them to none"
            )
        if not all(0 < mark < 1 for mark in self.milestones):
            raise ValueError("milestones are fractions of the training, each between 0 and 1")
        return self
