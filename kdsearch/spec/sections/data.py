"""``data``."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kdsearch.spec.augmentation import Augmentation, StrongAugmentation
from kdsearch.spec.dimensions import SideDimension
from kdsearch.spec.ranges import extremes
from kdsearch.spec.sections.source import SourceSection
from kdsearch.spec.wording import instead


def share_or_count(value: Any) -> Any:
    """A share below 1 or a whole number of samples; every other value is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a share below 1 or a whole number{instead(value)}")
    if not 0 < value < math.inf or (value >= 1 and value != int(value)):
        raise ValueError(
            f"must be a share above 0 and below 1, or a whole number of samples, not {value:g}"
        )
    return int(value) if value >= 1 else value


ShareOrCount = Annotated[
    int | float,
    BeforeValidator(share_or_count),
    Field(json_schema_extra={"values": "a share below 1, or a whole number"}),
]
"""A share above 0 and below 1, or a whole number of samples."""


class DataSection(SourceSection):
    """``data``: where the samples come from and how they are split."""

    labels: ShareOrCount | None = None
    """Share, or whole number, of the training samples that keep their targets. The others are
    trained on without: only what is distilled learns from them. They are drawn class by class by
    ``seed``, at least one of each class. Validation and test keep all targets. Absent: all do."""
    image_size: SideDimension | None = None
    """Side in pixels to which ``image_folder`` and ``table`` crop and resize their images. A range
    or choices: they are read at the largest, and students draw their ``image_size`` of these.
    Absent: images must all have one size."""
    augment: Augmentation = Augmentation()
    """Random changes of the training images."""
    strong_augment: StrongAugmentation | None = None
    """Stronger random changes, with the keys of ``augment``, of a second copy of each training
    image. ``fixmatch`` and ``noisy_student`` need it, and compare both. Without ``mixup`` and
    ``cutmix``. Absent: none."""

    @property
    def side(self) -> int | None:
        """Side in pixels of the images that are read: the largest of ``image_size``."""
        return None if self.image_size is None else int(extremes(self.image_size)[1])
