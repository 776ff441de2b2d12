"""What a network begins with, where that is not random: a library's weights, a file, a study's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from kdsearch.spec.base import GrownSection, Section
from kdsearch.spec.values import Number, Whole, at_home

_FILE_ENDINGS = (".pt", ".pth", ".safetensors", ".bin", ".ckpt", ".tar")


class EarlierStudent(Section):
    """A finalist of an earlier study, as far as another one begins with it."""

    study: str
    """The name of the study."""
    trial: int
    """The number of its trial."""
    width: Number = Field(gt=0)
    """Its width, from which narrower students are cut."""
    round_to: Whole | None = None
    """What its channel counts are multiples of."""
    answers: str
    """A checksum over what its outputs say: the classes of its tasks, in their order."""
    data: tuple[str, str] | None = None
    """Name and fingerprint of its study's data, where these alone tell what its outputs say."""

    @property
    def told(self) -> str:
        """Whose it is, in a few words."""
        return f"{self.study} trial {self.trial}"


class InitialWeights(GrownSection):
    """Weights that a network begins with; their source alone stands for them.

    Where the checksum is known it is what they are compared by, wherever they lie.
    """

    since_first: ClassVar[frozenset[str]] = frozenset({"source", "sha256"})

    source: str = Field(min_length=1)
    """``default`` or a tag of the family's library, such as ``IMAGENET1K_V2``, or a file of any
    kind that ``teacher.checkpoint`` takes. A text with a path separator, or one that ends as such
    files do, is a file; of ``students`` it may be the folder of an earlier study."""
    sha256: str = ""
    """The checksum of their file, which identifies it in place of its path. kdsearch fills it
    in."""
    student: EarlierStudent | None = None
    """The finalist of an earlier study whose weights they are. kdsearch fills it in."""

    def __eq__(self, other: object) -> bool:
        if isinstance(other, InitialWeights) and self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(self.sha256 or self.source)

    @model_validator(mode="before")
    @classmethod
    def _source_alone(cls, given: Any) -> Any:
        return {"source": str(given)} if isinstance(given, str | Path) else given

    @property
    def file(self) -> Path | None:
        """The file or folder, with ``~`` resolved; ``None`` for a library's own weights."""
        if "/" in self.source or os.sep in self.source or self.source.endswith(_FILE_ENDINGS):
            return at_home(Path(self.source))
        return None

    @property
    def study(self) -> Path | None:
        """The folder of the earlier study whose students they are of; ``None`` for others."""
        file = self.file
        return file if file is not None and file.is_dir() else None
