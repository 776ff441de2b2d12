"""One network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from kdsearch.spec.base import GrownSection, Section
from kdsearch.spec.concrete.initial_weights import EarlierStudent, InitialWeights
from kdsearch.spec.concrete.way import WayConfig
from kdsearch.spec.values import Number, Whole, at_home, each_once, listed

InputNames = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    AfterValidator(each_once("input")),
    Field(min_length=1),
]
"""Names of inputs, one alone or several as a list."""


StoredAs = Literal["float32", "float16"]
"""The precision in which weights are shipped."""

Importance = Literal["magnitude", "bn_scale", "activation", "taylor"]
"""What decides which channels of a wider network a narrower one keeps."""

Init = Literal["random", "pretrained", "cut_from_teacher"]
"""What a network begins with."""


HUGGING_FACE = "hf/"
"""What the families of transformers begin with."""


def _own_folder(family: str) -> str:
    """A local folder of weights in a family's name, for any working directory."""
    folder = family.removeprefix(HUGGING_FACE)
    if family.startswith(HUGGING_FACE) and folder.startswith((".", "~", "/")):
        return f"{HUGGING_FACE}{at_home(Path(folder)).resolve()}"
    return family


FamilyName = Annotated[str, AfterValidator(_own_folder)]
"""What builds a network: a family of kdsearch, a network of a library, ``module:function``."""


class Normalisation(Section):
    """What a network's images were normalised by when its weights were trained."""

    mean: tuple[Number, ...] = Field(min_length=1)
    """Mean of each channel, of pixels in 0 to 1."""
    std: tuple[Annotated[Number, Field(gt=0)], ...] = Field(min_length=1)
    """Standard deviation of each channel."""

    @model_validator(mode="after")
    def _of_each_channel(self) -> Normalisation:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"mean has {len(self.mean)} values and std {len(self.std)}; give both one a channel"
            )
        return self


def _pairs(given: Any) -> Any:
    """A section of classes as pairs, whose order a file of sorted keys would lose."""
    if not isinstance(given, dict):
        return given
    return [(name, [of] if isinstance(of, int) else of) for name, of in given.items()]


StandsFor = Annotated[
    tuple[
        tuple[str, Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1)]], ...
    ],
    BeforeValidator(_pairs),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        }
    ),
]
"""Classes of the data, each with the outputs that stand for it."""


class ModelConfig(GrownSection):
    """One network: its architecture, what it begins with, and how it is shipped."""

    since_first: ClassVar[frozenset[str]] = frozenset({"family", "width", "depth", "adopts"})

    family: FamilyName
    """A name that ``kdsearch models`` lists, one of a library such as ``torchvision/NAME``, or
    ``module:function``."""
    width: Number = Field(default=1.0, gt=0)
    """Multiplier of the family's channel counts."""
    depth: Whole | None = Field(default=None, ge=1)
    """Layers or blocks, as the family counts them. Absent: the family's default."""
    round_to: Whole | None = Field(default=None, ge=2, le=1024)
    """What channel counts become multiples of, such as 8 where a device computes fastest then.
    Absent: the family's own rounding."""
    adopts: ModelConfig | None = None
    """The teacher whose classifier the network takes over, behind a projector (simkd)."""
    inputs: InputNames | None = None
    """Names of the inputs that it takes, in this order, of data with several inputs. Absent:
    all."""
    weights: InitialWeights | None = None
    """Weights to begin with: of a network of this width, or of width 1, of which the most
    important channels are kept. Absent: random weights by the seed."""
    cut_from: str | None = None
    """The name of the teacher whose most important channels it begins with. kdsearch fills it in,
    by ``students[].init``."""
    importance: Importance = "magnitude"
    """What decides which channels are kept of a wider network."""
    image_size: Whole | None = Field(default=None, ge=4)
    """Side in pixels to which it resizes the images of the data. Absent: that of its ``weights``
    where a library has them, else that of the data."""
    normalise: Normalisation | None = None
    """What its images were normalised by when its weights were trained. Absent: what a library
    says of ``weights``, else the mean and deviation of the training split."""
    stored: StoredAs = "float32"
    """Precision in which its weights are shipped, to which they are rounded after the training."""
    ways: tuple[WayConfig, ...] = ()
    """How it is made small beside its width and depth. kdsearch fills it in."""
    outputs: Whole | None = Field(default=None, ge=0)
    """Of a teacher that is taken as it is, from ``checkpoint`` or from ``weights``: its number of
    outputs, where they are not the classes of the data; 0: it has no head. Only methods that read
    no logits learn from it. Absent: those of the data."""
    stands_for: StandsFor = ()
    """Of a teacher with ``outputs``: for each class of the data, in their order, the outputs that
    stand for it, counted from 0, such as ``{cat: [281, 282], dog: 207}``. Every method then learns
    from it. Absent: none of them does."""

    @property
    def pretrained(self) -> bool:
        """Whether it begins with weights that were trained before."""
        return self.init != "random"

    @property
    def init(self) -> Init:
        """What it begins with."""
        if self.cut_from is not None:
            return "cut_from_teacher"
        return "random" if self.weights is None else "pretrained"

    @property
    def earlier(self) -> EarlierStudent | None:
        """The finalist of an earlier study that it begins with."""
        return None if self.weights is None else self.weights.student

    @property
    def side(self) -> int | None:
        """Side in pixels of the images that it takes, where it has a size of its own."""
        return self.image_size

    @property
    def architecture(self) -> ModelConfig:
        """The same without what it begins with and how it is shipped."""
        without = {"weights": None, "cut_from": None, "importance": "magnitude"}
        return self.model_copy(update={**without, "stored": "float32"})
