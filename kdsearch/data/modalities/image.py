"""Images as inputs: uint8 pixels, normalised by channel, under random changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_array, as_tensor
from kdsearch.data.column import Column, parts, rows_at
from kdsearch.data.images.mapped import MappedImages
from kdsearch.data.modalities.modality import ColumnViews, Modality, Scale
from kdsearch.data.views.augment import check_augmentation, erasures, pixel_changes
from kdsearch.data.views.draws import Bits
from kdsearch.data.views.mixing import Mixture, blend_
from kdsearch.errors import DataError
from kdsearch.models.inputs import IMAGE, Input
from kdsearch.spec.augmentation import Augmentation


class ImageModality(Modality):
    """uint8 [N, C, H, W]; a source may also give [N, H, W] or [N, H, W, C]."""

    def read(self, given: Any, name: str, where: str) -> Column:
        """As :class:`Modality`; the channel axis is the one shorter than both sides."""
        if isinstance(given, MappedImages):
            return given
        if not isinstance(given, Tensor):
            array = as_array(given, f"{where}: {_called(name)}", "image")
            if array.dtype != np.uint8:
                raise _not_uint8(name, where, str(array.dtype), array.ndim)
            given = as_tensor(array)
        if given.dtype != torch.uint8:
            raise _not_uint8(name, where, str(given.dtype).removeprefix("torch."), given.ndim)
        return _channels_first(given.cpu(), name, where).contiguous()

    def network_input(self, column: Column) -> Input:
        return Input("image", tuple(column.shape[1:]))

    def scale(self, column: Column) -> Scale:
        """Per-channel mean and standard deviation, scaled to [0, 1]."""
        values = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for counts in _histograms(column).double():
            share = counts / counts.sum()
            mean = (share * values).sum()
            means.append(float(mean))
            deviations.append(max(float((share * (values - mean) ** 2).sum().sqrt()), 1e-3))
        return Scale(tuple(means), tuple(deviations))

    def check_changes(self, augment: Augmentation, column: Column, setting: str) -> None:
        check_augmentation(augment, column.shape[1:], setting)

    def views(self, column: Column, scale: Scale, augment: Augmentation) -> ColumnViews:
        return ImageViews(column, scale, augment)

    def check_batch(self, values: Any, shape: Sequence[int], name: str) -> None:
        """As :class:`Modality`.

        Of a grey image that is stretched over three channels, or one of another size, the answer
        would only look like one.
        """
        if not isinstance(values, Tensor):
            raise DataError(
                f"{_called(name)} must be a torch.Tensor, not {type(values).__name__}; convert "
                "them by torch.as_tensor"
            )
        if values.ndim == 3:
            raise DataError(
                f"{_called(name)} must be a batch [B, {', '.join(map(str, shape))}], not a single "
                f"image; give {_called(name)}[None]"
            )
        if tuple(values.shape[1:]) != tuple(shape):
            raise DataError(
                f"the student takes {_called(name)} of {'×'.join(map(str, shape))} (channels, "
                f"height, width), not of {'×'.join(map(str, values.shape[1:]))}; convert and "
                "resize them"
            )
        if values.dtype != torch.uint8 and not values.is_floating_point():
            raise DataError(
                f"{_called(name)} must be uint8 (0 to 255) or floats in [0, 1], not "
                f"{values.dtype}; convert them by .to(torch.uint8), if they hold 0 to 255"
            )

    def check_range(self, values: Tensor, name: str) -> None:
        if values.dtype == torch.uint8 or not values.numel():
            return
        low, high = (end.item() for end in values.aminmax())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"float {_called(name)} must be in [0, 1], and these are in [{low:.4g}, "
                f"{high:.4g}]; give them as they are, not normalised, and divide by 255 if they "
                "hold 0 to 255"
            )

    def normalised(self, values: Tensor, scale: Scale, dtype: torch.dtype) -> Tensor:
        scaled = values.to(dtype)
        if values.dtype == torch.uint8:
            scaled = scaled / 255
        mean, std = (torch.tensor(each, dtype=dtype) for each in (scale.mean, scale.std))
        mean, std = (each.view(1, -1, 1, 1).to(values.device) for each in (mean, std))
        return (scaled - mean) / std


class ImageViews(ColumnViews):
    """Normalised float32 images [B, C, H, W] under random changes.

    Args:
        column: The images.
        scale: What they are normalised by.
        augment: The random changes.
    """

    def __init__(self, column: Column, scale: Scale, augment: Augmentation) -> None:
        self._images = column
        self._pixel_changes = pixel_changes(augment)
        self._erasures = erasures(augment)
        device = column.device
        # Divisors are tensors because CUDA turns division by a number into multiplication by its
        # inverse, which rounds differently from the CPU's division.
        self._scale = torch.tensor(255.0, device=device)
        self._mean = torch.tensor(scale.mean, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(scale.std, dtype=torch.float32, device=device).view(1, -1, 1, 1)

    def view(self, index: Tensor, bits: Bits) -> Tensor:
        images = rows_at(self._images, index)
        for change in self._pixel_changes:
            images = change(images, bits)
        images = images.to(torch.float32).div_(self._scale).sub_(self._mean).div_(self._std)
        for change in self._erasures:
            images = change(images, bits)
        return images

    def blended(self, own: Tensor, other: Tensor, mixture: Mixture) -> Tensor:
        return blend_(own, other, mixture.weight)


def _histograms(column: Column) -> Tensor:
    """How often each channel has each value: int64 [C, 256]."""
    counts = torch.zeros((column.shape[1], 256), dtype=torch.int64)
    for part in parts(column):
        for channel, histogram in enumerate(counts):
            histogram += torch.bincount(part[:, channel].flatten(), minlength=256)
    return counts


def _called(name: str) -> str:
    """An input of images in a sentence."""
    return "images" if name == IMAGE else f"the images '{name}'"


def _not_uint8(name: str, where: str, kind: str, dimensions: int) -> DataError:
    remedy = "convert them"
    if dimensions == 2:
        remedy = "numbers [N, D] are given by a name, as {'numbers': array}"
    return DataError(f"{where}: {_called(name)} must be uint8 from 0 to 255, not {kind}; {remedy}")


def _channels_first(images: Tensor, name: str, where: str) -> Tensor:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4:
        _, first, middle, last = images.shape
        if first < min(middle, last):
            return images
        if last < min(first, middle):
            return images.permute(0, 3, 1, 2)
    raise DataError(
        f"{where}: {_called(name)} of shape {list(images.shape)} are none of [N, H, W], "
        "[N, H, W, C] and [N, C, H, W] with fewer channels than pixels a side; reshape them"
    )
