"""What ``data`` and ``target`` have in common: a source, and how it is split."""

from __future__ import annotations

from pydantic import Field

from kdsearch.spec.base import Section
from kdsearch.spec.table import TableSection
from kdsearch.spec.unlabelled import UnlabelledSection
from kdsearch.spec.values import Colour, Flag, Number, Options, UserPath, Whole


class SourceSection(Section):
    """A source of samples, and how they are split."""

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
    unlabelled: UnlabelledSection | None = None
    """Further training samples, without targets, for ``image_folder`` and ``table``. They are read
    as the others are. A source of your own returns them as ``unlabelled_images``. Absent: none."""
    background: Colour = "white"
    """What ``image_folder`` and ``table`` put behind transparent images: a colour's name, or
    ``"#rrggbb"``."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    """Seed of the split. It is apart from the study's, so that studies can share a teacher."""
    options: Options = {}
    """Keyword arguments for a source of your own."""
