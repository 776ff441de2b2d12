"""Every kind of input by its name, and which one an array is of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from kdsearch.data.column import Column
from kdsearch.data.images.mapped import MappedImages
from kdsearch.data.modalities.image import ImageModality
from kdsearch.data.modalities.modality import Modality
from kdsearch.data.modalities.numbers import NumbersModality
from kdsearch.models.inputs import InputKind

MODALITIES: Mapping[InputKind, Modality] = MappingProxyType(
    {"image": ImageModality(), "numbers": NumbersModality()}
)


def modality_of(column: Column) -> Modality:
    """The kind of a column: uint8 are images, float64 are numbers."""
    return MODALITIES["image" if column.dtype == torch.uint8 else "numbers"]


def given_modality(given: Any) -> Modality:
    """The kind of one of several inputs as a source gave it: arrays [N] and [N, D] are numbers."""
    if isinstance(given, MappedImages):
        return MODALITIES["image"]
    try:
        dimensions = given.ndim if isinstance(given, torch.Tensor) else np.ndim(given)
    except ValueError:  # a list of several sizes, which reading tells
        dimensions = 1
    return MODALITIES["numbers" if dimensions <= 2 else "image"]
