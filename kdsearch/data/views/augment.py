"""Random changes of images, as pure functions of (seed, epoch, sample index).

Every random number is a hash of these three and of the number of the draw, so a sample's view does
not depend on the batch it is in, on the order of the epoch, or on the device. The order of the
changes: crop, flips, rotation, policy and colours on uint8 pixels; then normalisation; then erasing
and cutout; mixing last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from kdsearch.data.views.draws import Bits
from kdsearch.data.views.erasing import cutout_, random_erasing_
from kdsearch.data.views.geometry import crop_and_flip, rotation, vertical_flip
from kdsearch.data.views.jitter import color_jitter
from kdsearch.data.views.policies import rand_augment, trivial_augment
from kdsearch.data.views.resized_crop import random_resized_crop
from kdsearch.errors import DataError
from kdsearch.spec.augmentation import Augmentation, ColorJitter

Change = Callable[[Tensor, Bits], Tensor]
"""A change of a batch of images [B, C, H, W], by the draws of its samples; the images are spent."""


def check_augmentation(augment: Augmentation, shape: Sequence[int], setting: str) -> None:
    """Refuse changes that could leave nothing of an image, or that it has not the colours for.

    Args:
        augment: The changes.
        shape: (channels, height, width) of the images.
        setting: Where the spec has the changes.

    Raises:
        DataError: A crop's padding as wide as the image, a cutout larger than it, or changes of
            colour of images that are neither grey nor RGB, or that only RGB images have.
    """
    channels, height, width = shape
    if augment.crop >= min(height, width):
        raise DataError(
            f"{setting}.crop ({augment.crop}) must be below the images' sides "
            f"({height}×{width}), or a crop may hold padding alone"
        )
    if augment.cutout > min(height, width):
        raise DataError(
            f"{setting}.cutout ({augment.cutout}) must not exceed the images' sides "
            f"({height}×{width})"
        )
    for name in () if channels == 3 else _colourful(augment, grey=channels == 1):
        raise DataError(
            f"{setting}.{name} needs {'RGB' if channels == 1 else 'grey or RGB'} images, and "
            f"these have {channels} {'channel' if channels == 1 else 'channels'}; remove it"
        )


def changes_images(augment: Augmentation) -> str | None:
    """A setting in use that changes images; ``None`` where mixup is the most that is."""
    for name, field in Augmentation.model_fields.items():
        if name != "mixup" and getattr(augment, name) != field.default:
            return name
    return None


def _colourful(augment: Augmentation, grey: bool) -> list[str]:
    """The settings in use that grey images, or images of other channels, cannot have."""
    jitter = augment.color_jitter
    if grey:
        return [f"color_jitter.{name}" for name in ("saturation", "hue") if getattr(jitter, name)]
    used = {
        "trivial_augment": augment.trivial_augment,
        "rand_augment": augment.rand_augment is not None,
        "color_jitter": jitter != ColorJitter(),
    }
    return [name for name, is_used in used.items() if is_used]


def pixel_changes(augment: Augmentation) -> list[Change]:
    """The changes of uint8 images, in their order; those left out cost nothing."""
    changes: list[Change] = []
    if augment.random_resized_crop is not None:
        changes.append(partial(random_resized_crop, **augment.random_resized_crop.model_dump()))
    if augment.crop or augment.flip:
        changes.append(partial(_cropped, padding=augment.crop, flip=augment.flip))
    if augment.vertical_flip:
        changes.append(vertical_flip)
    if augment.rotation:
        changes.append(partial(rotation, degrees=augment.rotation))
    if augment.trivial_augment:
        changes.append(trivial_augment)
    if augment.rand_augment is not None:
        changes.append(partial(rand_augment, **augment.rand_augment.model_dump()))
    if augment.color_jitter != ColorJitter():
        changes.append(partial(color_jitter, jitter=augment.color_jitter))
    return changes


def _cropped(images: Tensor, bits: Bits, padding: int, flip: bool) -> Tensor:
    return crop_and_flip(images, padding, flip, bits)


def erasures(augment: Augmentation) -> list[Change]:
    """The changes of normalised images, in their order."""
    changes: list[Change] = []
    if augment.random_erasing is not None:
        changes.append(partial(random_erasing_, **augment.random_erasing.model_dump()))
    if augment.cutout:
        changes.append(partial(_cut_out, side=augment.cutout))
    return changes


def _cut_out(images: Tensor, bits: Bits, side: int) -> Tensor:
    return cutout_(images, side, bits)
