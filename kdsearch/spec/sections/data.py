"""``data``."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kdsearch.spec.augmentation import Augmentation
from kdsearch.spec.base import Section
from kdsearch.spec.dimensions import SideDimension
from kdsearch.spec.ranges import extremes
from kdsearch.spec.table import TableSection
from kdsearch.spec.unlabelled import UnlabelledSection
from kdsearch.spec.values import Colour, Flag, Number, Options, UserPath, Whole
from kdsearch.spec.wording import instead


def _share_or_count(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a share below 1 or a whole number{instead(value)}")
    if not 0 < value < math.inf or (value >= 1 and value != int(value)):
        raise ValueError(
            f"must be a share above 0 and below 1, or a whole number of samples, not {value:g}"
        )
    return int(value) if value >= 1 else value


ShareOrCount = Annotated[
    int | float,
    BeforeValidator(_share_or_count),
    Field(json_schema_extra={"values": "a share below 1, or a whole number"}),
]
"""A share above 0 and below 1, or a whole number of samples."""


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
    labels: ShareOrCount | None = None
    """Share, or whole number, of the training samples that keep their targets. The others are
    trained on without: only what is distilled learns from them. They are drawn class by class by
    ``seed``, at least one of each class. Validation and test keep all targets. Absent: all do."""
    unlabelled: UnlabelledSection | None = None
    """Further training samples, without targets, for ``image_folder`` and ``table``. They are read
    as the others are. A source of your own returns them as ``unlabelled_images``. Absent: none."""
    image_size: SideDimension | None = None
    """Side in pixels to which ``image_folder`` and ``table`` crop and resize their images. A range
    or choices: they are read at the largest, and students draw their ``image_size`` of these.
    Absent: images must all have one size."""
    background: Colour = "white"
    """What ``image_folder`` and ``table`` put behind transparent images: a colour's name, or
    ``"#rrggbb"``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the split. It is apart from the study's, so that studies can share a teacher."""
    augment: Augmentation = Augmentation()
    """Random changes of the training images."""
    options: Options = {}
    """Keyword arguments for a source of your own."""

    @property
    def side(self) -> int | None:
        """Side in pixels of the images that are read: the largest of ``image_size``."""
        return None if self.image_size is None else int(extremes(self.image_size)[1])
