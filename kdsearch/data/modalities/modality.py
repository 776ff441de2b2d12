"""What every kind of input says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from kdsearch.data.column import Column
from kdsearch.data.views.draws import Bits
from kdsearch.data.views.mixing import Mixture
from kdsearch.models.inputs import Input
from kdsearch.spec.augmentation import Augmentation


@dataclass(frozen=True)
class Scale:
    """What an input is normalised by, as the training split has it.

    Attributes:
        mean: Of each channel of images, scaled to [0, 1]; or of each number.
        std: Standard deviations, likewise; above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ColumnViews(Protocol):
    """One input of a split as a network sees it, on the column's device."""

    def view(self, index: Tensor, bits: Bits) -> Tensor:
        """The views [B, ...] of the samples at ``index`` [B], by their draws, without partners."""

    def blended(self, own: Tensor, other: Tensor, mixture: Mixture) -> Tensor:
        """Views [B, ...] mixed with those of their partners; both are spent."""


class Modality(Protocol):
    """A kind of input."""

    def read(self, given: Any, name: str, where: str) -> Column:
        """One input as a source gave it.

        Args:
            given: An array of all samples.
            name: Of the input.
            where: Which data it is of.

        Raises:
            DataError: It is no such array.
        """

    def network_input(self, column: Column) -> Input:
        """What a network takes of a column."""

    def scale(self, column: Column) -> Scale:
        """What a training column is normalised by."""

    def check_changes(self, augment: Augmentation, column: Column, setting: str) -> None:
        """Refuse changes that the input is too small for, or has not the colours for.

        Args:
            augment: The changes.
            column: The input.
            setting: Where the spec has them.

        Raises:
            DataError: With the setting.
        """

    def views(self, column: Column, scale: Scale, augment: Augmentation) -> ColumnViews:
        """The views of a column under random changes."""

    def check_batch(self, values: Any, shape: Sequence[int], name: str) -> None:
        """Refuse what is no batch [B, ...] of the input as sources have it.

        Raises:
            DataError: It is of another type or shape; nothing is converted.
        """

    def check_range(self, values: Tensor, name: str) -> None:
        """Refuse a batch with values that the input cannot have.

        Raises:
            DataError: Some are outside.
        """

    def normalised(self, values: Tensor, scale: Scale, dtype: torch.dtype) -> Tensor:
        """A batch [B, ...] as sources have it, as a network takes it.

        Args:
            values: Of :meth:`check_batch`.
            scale: What it is normalised by.
            dtype: Of the result.
        """
