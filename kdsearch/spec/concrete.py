"""Configurations with every value decided: what one training is given."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, Whole


class ModelConfig(Section):
    """One network: a family with its width and depth."""

    family: str
    """A name that ``kdsearch models`` lists, ``torchvision/NAME``, or ``module:function``."""
    width: Number = Field(default=1.0, gt=0)
    """Multiplier of the family's channel counts."""
    depth: Whole | None = Field(default=None, ge=1)
    """Number of layers or blocks as the family counts them; the family's default when absent."""
    adopts: ModelConfig | None = None
    """The teacher whose classifier the network takes over, behind a projector (simkd)."""


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
    """SGD's momentum; AdamW keeps its own betas."""
    nesterov: Flag = True
    """Whether SGD's momentum is Nesterov's, as the papers of ReviewKD, OFD and AB have it; off for
    the recipe of the other published CIFAR-100 numbers."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """How the learning rate falls: to zero along a cosine, by ``gamma`` at ``milestones``, not."""
    milestones: tuple[Number, ...] = (0.625, 0.75, 0.875)
    """Fractions of the training at which ``step`` lowers the rate."""
    gamma: Number = Field(default=0.1, gt=0, le=1)
    """Factor of each lowering under ``step``."""
    warmup_epochs: Number = Field(default=0.0, ge=0)
    """Epochs of linear warm-up from zero."""
    clip_grad_norm: Number | None = Field(default=None, gt=0)
    """Largest norm of a step's gradient; larger ones are scaled down to it."""
    label_smoothing: Number = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over the classes, in the cross-entropy alone."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the student's forward pass (autocast); auto: bfloat16 on a GPU that has it, else float32.
    Losses and weights are float32 in any case. On NVIDIA GPUs from Ampere on, cuDNN computes the
    convolutions of float32 in TF32 (10 bits of mantissa), PyTorch's default; matrix products are
    whole float32. ``NVIDIA_TF32_OVERRIDE=0`` in the environment of the study, and of a cluster's
    nodes, makes convolutions so too."""

    @model_validator(mode="after")
    def _possible(self) -> TrainingConfig:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs ({self.warmup_epochs:g}) must be below epochs ({self.epochs})"
            )
        if not all(0 < mark < 1 for mark in self.milestones):
            raise ValueError("milestones are fractions of the training, each between 0 and 1")
        return self
