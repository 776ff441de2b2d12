"""What a source returns, and how it becomes splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.arrays import as_tensor
from kdsearch.data.dataset import Split
from kdsearch.data.mapped import MappedImages
from kdsearch.errors import DataError
from kdsearch.spec.names import suggest

Images = Tensor | np.ndarray | MappedImages
"""uint8 [N, H, W], [N, H, W, C] or [N, C, H, W]; mapped ones are [N, C, H, W]."""

Labels = Tensor | np.ndarray | Sequence[int]
"""[N] whole numbers from 0."""


@dataclass(frozen=True)
class RawData:
    """Images and labels as a source has them.

    Attributes:
        train_images: uint8 [N, H, W], [N, H, W, C] or [N, C, H, W]; the channel axis is the one
            that is shorter than both sides of the image.
        train_labels: [N] class indices from 0.
        test_images: Likewise, or ``None`` to have the test drawn from the training data.
        test_labels: Their labels, or ``None``.
        classes: Name of each class; ``None`` takes the class indices as names.
    """

    train_images: Images
    train_labels: Labels
    test_images: Images | None = None
    test_labels: Labels | None = None
    classes: Sequence[str] | None = None


def as_raw(value: Any, where: str) -> RawData:
    """What a user's own source returned, as :class:`RawData`.

    Args:
        value: A RawData, a mapping with its field names, or a tuple (images, labels) or
            (train_images, train_labels, test_images, test_labels).
        where: What messages call the source.

    Raises:
        DataError: It is nothing of these.
    """
    if isinstance(value, RawData):
        return value
    if isinstance(value, Mapping):
        return _from_mapping(value, where)
    if isinstance(value, tuple | list) and len(value) in (2, 4):
        return RawData(*value)
    shown = type(value).__name__
    if isinstance(value, tuple | list):
        shown += f" of {len(value)}"
    raise DataError(
        f"{where} returned a {shown}; return (images, labels), (train_images, train_labels, "
        "test_images, test_labels) or a kdsearch.data.RawData"
    )


def _from_mapping(value: Mapping[str, Any], where: str) -> RawData:
    valid = [field.name for field in fields(RawData)]
    for name in value:
        if name not in valid:
            raise DataError(f"{where} returned the unknown key '{name}'; {suggest(name, valid)}")
    for name in ("train_images", "train_labels"):
        if name not in value:
            raise DataError(f"{where} returned no '{name}'; add it")
    return RawData(**value)


def as_splits(raw: RawData, where: str) -> tuple[Split, Split | None, tuple[str, ...]]:
    """The training data, the test data if there are any, and the class names.

    Raises:
        DataError: Images that are not uint8, a layout that cannot be told, labels that are not
            whole numbers, half a test split, or class names that are too few or not distinct.
    """
    train = _split(raw.train_images, raw.train_labels, f"{where}'s training data")
    if (raw.test_images is None) != (raw.test_labels is None):
        raise DataError(f"{where} has only one of test_images and test_labels; give both or none")
    test = None
    if raw.test_images is not None and raw.test_labels is not None:
        test = _split(raw.test_images, raw.test_labels, f"{where}'s test data")
        if test.images.shape[1:] != train.images.shape[1:]:
            raise DataError(
                f"{where} has training images of {list(train.images.shape[1:])} and test "
                f"images of {list(test.images.shape[1:])} (C, H, W); make them alike"
            )
    return train, test, _class_names(raw.classes, train, where)


def _split(images: Images, labels: Labels, where: str) -> Split:
    split = Split(_images(images, where), _labels(labels, where))
    if len(split.images) == 0:
        raise DataError(f"{where} holds no images; give at least one")
    return split


def _images(images: Images, where: str) -> Tensor | MappedImages:
    if isinstance(images, MappedImages):
        return images
    if not isinstance(images, Tensor):
        array = np.ascontiguousarray(images)
        if array.dtype != np.uint8:
            raise _not_uint8(where, str(array.dtype))
        images = as_tensor(array)
    if images.dtype != torch.uint8:
        raise _not_uint8(where, str(images.dtype).removeprefix("torch."))
    return _channels_first(images.cpu(), where).contiguous()


def _not_uint8(where: str, kind: str) -> DataError:
    return DataError(f"{where}: images must be uint8 from 0 to 255, not {kind}; convert them")


def _channels_first(images: Tensor, where: str) -> Tensor:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4:
        _, first, middle, last = images.shape
        if first < min(middle, last):
            return images
        if last < min(first, middle):
            return images.permute(0, 3, 1, 2)
    raise DataError(
        f"{where}: images of shape {list(images.shape)} are none of [N, H, W], [N, H, W, C] and "
        "[N, C, H, W] with fewer channels than pixels a side; reshape them"
    )


def _labels(labels: Labels, where: str) -> Tensor:
    array = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"{where}: labels must be whole numbers [N], not {array.dtype} {list(array.shape)}; "
            "give the class index of each image"
        )
    return torch.from_numpy(array.astype(np.int64))


def _class_names(given: Sequence[str] | None, train: Split, where: str) -> tuple[str, ...]:
    if given is None:
        highest = int(train.labels.max()) if len(train.labels) else -1
        names = tuple(str(label) for label in range(highest + 1))
    else:
        names = tuple(str(name) for name in given)
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"{where} has the classes {', '.join(names) or 'of no sample'}; give at least two, "
            "each with a name of its own"
        )
    return names
