"""``data.augment``: random changes of the training images."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Flag, Number, Whole


def _interval(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(values) != 2 or not 0 < values[0] <= values[1]:
        raise ValueError(
            "must be two numbers above 0, the smaller first, such as [0.5, 1], not "
            f"[{', '.join(f'{value:g}' for value in values)}]"
        )
    return values


def _shares(values: tuple[float, ...]) -> tuple[float, ...]:
    if values[-1] > 1:
        raise ValueError(f"must be a share of the image's area, at most 1, not {values[-1]:g}")
    return values


Interval = Annotated[tuple[Number, ...], AfterValidator(_interval)]
"""The smallest and the largest value of a draw, above 0."""

Shares = Annotated[Interval, AfterValidator(_shares)]
"""The smallest and the largest share of an image's area."""


class RandomResizedCrop(Section):
    """``data.augment.random_resized_crop``: a random part of the image, resized to all of it."""

    scale: Shares = (0.08, 1.0)
    """Area of the part as a share of the image's, drawn uniformly."""
    ratio: Interval = (3 / 4, 4 / 3)
    """Width of the part divided by its height, drawn uniformly in the logarithm."""


class ColorJitter(Section):
    """``data.augment.color_jitter``: changes of colour, in a random order; 0 leaves one out."""

    brightness: Number = Field(default=0.0, ge=0)
    """The factor is drawn from 1 ± this, not below 0."""
    contrast: Number = Field(default=0.0, ge=0)
    """The factor is drawn from 1 ± this, not below 0."""
    saturation: Number = Field(default=0.0, ge=0)
    """The factor is drawn from 1 ± this, not below 0. RGB images alone."""
    hue: Number = Field(default=0.0, ge=0, le=0.5)
    """The shift is drawn from ± this share of the colour circle. RGB images alone."""


class RandAugment(Section):
    """``data.augment.rand_augment``: random operations of one strength (Cubuk et al. 2020)."""

    operations: Whole = Field(default=2, ge=1, le=14)
    """Number of operations, one after another, each drawn from all 14."""
    magnitude: Whole = Field(default=9, ge=0, le=30)
    """Their strength, from 0 to 30."""


class RandomErasing(Section):
    """``data.augment.random_erasing``: a random rectangle filled with the mean (Zhong et al. 2020).

    No rectangle is as high or as wide as the image.
    """

    probability: Number = Field(default=0.5, gt=0, le=1)
    """Probability that an image has one."""
    scale: Shares = (0.02, 0.33)
    """Its area as a share of the image's, drawn uniformly."""
    ratio: Interval = (0.3, 3.3)
    """Its height divided by its width, drawn uniformly in the logarithm."""


class Augmentation(Section):
    """``data.augment``: random changes of a training image, in the order of this list."""

    crop: Whole = Field(default=0, ge=0)
    """Pixels of zero padding before a random crop back to the original size."""
    random_resized_crop: RandomResizedCrop | None = None
    """A random part of the image, resized to all of it (Szegedy et al. 2015)."""
    flip: Flag = False
    """Mirror left to right with probability ½."""
    vertical_flip: Flag = False
    """Mirror upside down with probability ½, for images without an up, such as aerial images."""
    rotation: Number = Field(default=0.0, ge=0, le=180)
    """Rotate by up to so many degrees either way. What comes in from outside is black."""
    trivial_augment: Flag = False
    """One random operation of a random strength (Müller & Hutter 2021, the wide space)."""
    rand_augment: RandAugment | None = None
    """Random operations of one strength (Cubuk et al. 2020)."""
    color_jitter: ColorJitter = ColorJitter()
    """Changes of brightness, contrast, saturation and hue."""
    random_erasing: RandomErasing | None = None
    """A random rectangle filled with the mean (Zhong et al. 2020)."""
    cutout: Whole = Field(default=0, ge=0)
    """Side in pixels of a square blanked at a random place (DeVries & Taylor 2017)."""
    mixup: Number = Field(default=0.0, ge=0)
    """Parameter α of Beta(α, α) with which two images are blended (Zhang et al. 2018)."""
    cutmix: Number = Field(default=0.0, ge=0)
    """Parameter α of Beta(α, α) for the area of a box pasted from another image (Yun et al. 2019).
    Beside ``mixup``, each image takes one of the two with probability ½."""

    @property
    def mixes(self) -> tuple[str, ...]:
        """The settings in use that put two images into one."""
        return tuple(name for name in ("mixup", "cutmix") if getattr(self, name))

    @model_validator(mode="after")
    def _one_crop(self) -> Augmentation:
        if self.crop and self.random_resized_crop is not None:
            raise ValueError(
                f"crop ({self.crop}) and random_resized_crop both choose a part of the image; "
                "remove one"
            )
        return self

    @model_validator(mode="after")
    def _one_policy(self) -> Augmentation:
        if self.trivial_augment and self.rand_augment is not None:
            raise ValueError(
                "trivial_augment and rand_augment both choose operations at random; remove one"
            )
        return self


def _strong(changes: Augmentation) -> Augmentation:
    if changes.mixes:
        raise ValueError(
            f"must not have {changes.mixes[0]}, which blends two images, and methods compare what "
            "is of one; remove it"
        )
    if changes == Augmentation():
        raise ValueError(
            "changes nothing, and is to change more than data.augment; give it changes, such as "
            "{rand_augment: {}}"
        )
    return changes


StrongAugmentation = Annotated[Augmentation, AfterValidator(_strong)]
"""Random changes of one image, at least one of them."""
