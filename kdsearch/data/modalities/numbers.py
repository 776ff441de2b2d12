"""Numbers as inputs: features of a sample, standardised by those of the training split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_array
from kdsearch.data.column import Column
from kdsearch.data.modalities.modality import ColumnViews, Modality, Scale
from kdsearch.data.views.draws import Bits
from kdsearch.data.views.mixing import Mixture
from kdsearch.errors import DataError
from kdsearch.models.inputs import Input
from kdsearch.spec.augmentation import Augmentation


class NumbersModality(Modality):
    """float64 [N, D], standardised before they become float32, which would merge large ones.

    A source may also give [N], and any kind of number.
    """

    def read(self, given: Any, name: str, where: str) -> Column:
        plain = given.detach().cpu().double().numpy() if isinstance(given, Tensor) else given
        array = as_array(plain, f"{where}: the numbers '{name}'", "row")
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or array.dtype.kind not in "iufb" or not array.shape[1]:
            raise DataError(
                f"{where}: the numbers '{name}' must be [N] or [N, D], not {array.dtype} "
                f"{list(array.shape)}; give so many for each sample"
            )
        found = torch.from_numpy(array.astype(np.float64))
        if not bool(found.isfinite().all()):
            raise DataError(
                f"{where}: the numbers '{name}' must be finite; fill in what is missing, and say "
                "so in a number of its own"
            )
        return found.contiguous()

    def network_input(self, column: Column) -> Input:
        return Input("numbers", tuple(column.shape[1:]))

    def scale(self, column: Column) -> Scale:
        """Mean and standard deviation of each number; of a constant one the deviation is 1."""
        values = _in_memory(column)
        mean = values.mean(dim=0)
        std = (values - mean).std(dim=0, correction=0)
        # What rounding leaves of a constant is no deviation.
        varies = (values != values[0]).any(dim=0) & (std > 0)
        return Scale(tuple(mean.tolist()), tuple(torch.where(varies, std, 1.0).tolist()))

    def check_changes(self, augment: Augmentation, column: Column, setting: str) -> None:
        """Nothing changes numbers but mixing, which suits all."""

    def views(self, column: Column, scale: Scale, augment: Augmentation) -> ColumnViews:
        return NumbersViews(_in_memory(column), scale)

    def check_batch(self, values: Any, shape: Sequence[int], name: str) -> None:
        if not isinstance(values, Tensor):
            raise DataError(
                f"the numbers '{name}' must be a torch.Tensor, not {type(values).__name__}; "
                "convert them by torch.as_tensor"
            )
        if tuple(values.shape[1:]) != tuple(shape) or values.ndim != 2:
            raise DataError(
                f"the student takes {shape[0]} numbers '{name}' of each sample, [B, {shape[0]}], "
                f"not {list(values.shape)}; give them as the training data have them"
            )
        if values.is_complex():
            raise DataError(f"the numbers '{name}' must be real, not {values.dtype}")

    def check_range(self, values: Tensor, name: str) -> None:
        if not bool(torch.isfinite(values).all()):
            raise DataError(f"the numbers '{name}' must be finite; fill in what is missing")

    def normalised(self, values: Tensor, scale: Scale, dtype: torch.dtype) -> Tensor:
        mean, std = _on(values.device, scale)
        return ((values.double() - mean) / std).to(dtype)


class NumbersViews(ColumnViews):
    """Standardised float32 numbers [B, D].

    Args:
        column: The numbers [N, D], float64.
        scale: What they are standardised by.
    """

    def __init__(self, column: Tensor, scale: Scale) -> None:
        self._numbers = column
        self._mean, self._std = _on(column.device, scale)

    def view(self, index: Tensor, bits: Bits) -> Tensor:
        return self._numbers.index_select(0, index).sub_(self._mean).div_(self._std).float()

    def blended(self, own: Tensor, other: Tensor, mixture: Mixture) -> Tensor:
        """By the shares of the labels, under CutMix too."""
        share = mixture.share[:, None]
        return own.mul_(share).add_(other.mul_(1 - share))


def _on(device: torch.device, scale: Scale) -> tuple[Tensor, Tensor]:
    """Mean and deviation [D], float64."""
    mean, std = (torch.tensor(each, dtype=torch.float64) for each in (scale.mean, scale.std))
    return mean.to(device), std.to(device)


def _in_memory(column: Column) -> Tensor:
    assert isinstance(column, Tensor), "only images are mapped from files"
    return column
