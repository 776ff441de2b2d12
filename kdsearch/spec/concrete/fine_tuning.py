"""How what is pretrained is trained further."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number, Whole, each_once
from kdsearch.spec.wording import instead

BACKBONE = "backbone"
"""All of a network but its head."""

_WORD, _DEPTH, _NAMED = "<value>", "<depth>", "<names>"


def _freezable(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float | list | tuple):
        raise ValueError(
            f"must be {BACKBONE}, a number of first stages, or a list of names{instead(value)}"
        )
    if isinstance(value, str) and value != BACKBONE:
        raise ValueError(
            f"must be {BACKBONE}, a number of first stages, or a list of names such as [{value}]"
        )
    return value


def _form(value: Any) -> str:
    if isinstance(value, str):
        return _WORD
    return _NAMED if isinstance(value, list | tuple) else _DEPTH


def _names(given: Any) -> Any:
    for name in given:
        if not isinstance(name, str) or not name:
            raise ValueError(f"names of modules are texts{instead(name)}")
    return each_once("name")(tuple(given))


Frozen = Annotated[
    Annotated[
        Annotated[Literal["backbone"], Tag(_WORD)]
        | Annotated[Whole, Field(ge=1), Tag(_DEPTH)]
        | Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1), Tag(_NAMED)],
        Discriminator(_form),
    ],
    BeforeValidator(_freezable),
]
"""``backbone``, a number of first stages, or names of modules."""


class FineTuning(Section):
    """How a network that begins with trained weights is trained further.

    The head is the layer that gives the logits. Everything else is pretrained. A network that
    begins at random is trained as if this section were not there.
    """

    freeze: Frozen | None = None
    """What keeps its weights and runs in eval mode. ``backbone`` is all but the head. A number is
    so many first stages (of a transformer over tokens: its embedding, then its blocks). A list has
    names of modules, such as ``[conv1, layer1]``. Absent: nothing."""
    head_epochs: Whole = Field(default=0, ge=0)
    """Epochs at the start in which the head alone is trained, as under ``freeze: backbone``. The
    learning rate follows its one schedule all along."""
    layer_decay: Number = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate from each stage (or block) to the one before it. The head has
    the full learning rate, the last stage this factor of it, the one before its square (Clark et
    al. 2020, ELECTRA; Bao et al. 2022, BEiT)."""
    pretrained_lr: Number = Field(default=1.0, gt=0, le=1)
    """Factor on the learning rate of what is pretrained. The head has no such factor."""
    batch_norm: Literal["train", "frozen"] = "train"
    """``frozen``: batch normalisation in what is pretrained keeps its statistics, its scale and its
    shift."""

    @model_validator(mode="after")
    def _of_effect(self) -> FineTuning:
        if self.freeze == BACKBONE:
            for name in ("head_epochs", "layer_decay", "pretrained_lr", "batch_norm"):
                if getattr(self, name) != FineTuning.model_fields[name].default:
                    raise ValueError(
                        f"under freeze: {BACKBONE} the head alone is trained; remove {name}, or "
                        "freeze less"
                    )
        return self

    @property
    def by_depth(self) -> bool:
        """Whether anything goes by the order of a network's stages."""
        return self.layer_decay < 1 or isinstance(self.freeze, int)
