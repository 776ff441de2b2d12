"""The images of a split as a network sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kdsearch.data.dataset import Split
from kdsearch.data.views.augment import check_augmentation, erasures, pixel_changes
from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.mixing import Mixing, Mixture, blend_
from kdsearch.data.views.random_streams import EpochBits
from kdsearch.spec.sections import Augmentation

if TYPE_CHECKING:
    from kdsearch.methods.targets import Targets


class TargetViews:
    """The targets of a split's views.

    Args:
        targets: Those of each task by its name, each [N] or [N, K], on one device.
        augment: Random changes, of which the mixing counts.
        sides: (height, width) of the images.
        seed: Seed of the views.
        weights: [N] weights of the samples, or ``None``.
    """

    def __init__(
        self,
        targets: Mapping[str, Tensor],
        augment: Augmentation,
        sides: tuple[int, int],
        seed: int,
        weights: Tensor | None = None,
    ) -> None:
        self._all = targets
        self._weights = weights
        first = next(iter(targets.values()))
        mixing = augment.mixes
        self._mixing = Mixing(augment, len(first), sides, first.device) if mixing else None
        self._bits = EpochBits(seed, len(first), first.device)

    def batch(self, index: Tensor, epoch: int) -> dict[str, Targets]:
        """The targets of the samples at ``index`` [B] by task, on the targets' device."""
        return self.of(index, self.mixture(index, epoch))

    def of(self, index: Tensor, mixture: Mixture | None) -> dict[str, Targets]:
        """The targets of the samples at ``index`` [B] by task, blended by a :meth:`mixture`."""
        # Imported late: a process that only reads images never pays for methods and models.
        from kdsearch.methods.targets import Targets

        weights, partner, share, partner_weights = self._weights_at(index), None, None, None
        if mixture is not None:
            partner, share = mixture.partner, mixture.share
            partner_weights = self._weights_at(partner)
        return {
            name: Targets(
                each.index_select(0, index),
                None if partner is None else each.index_select(0, partner),
                share,
                index,
                weights,
                partner_weights,
            )
            for name, each in self._all.items()
        }

    def _weights_at(self, index: Tensor) -> Tensor | None:
        """The weights of the samples at ``index`` [B]."""
        return None if self._weights is None else self._weights.index_select(0, index)

    def mixture(self, index: Tensor, epoch: int) -> Mixture | None:
        """What the samples at ``index`` [B] are mixed with, under mixup and CutMix."""
        if self._mixing is None:
            return None

        def bits(draw: Draw) -> Tensor:
            return self._bits(epoch, index, draw)

        return self._mixing(bits)


class Views:
    """Normalised, augmented batches of one split, on the split's device.

    A sample's view is a pure function of (seed, epoch, sample index): bit for bit the same whatever
    batch the sample is in and in whatever order the epoch is visited.

    Args:
        split: The images and targets.
        mean: [C] means of the training images, scaled to [0, 1].
        std: [C] standard deviations, likewise.
        augment: Random changes, or ``None`` for the plain images.
        seed: Seed of the views.

    Raises:
        DataError: Changes that the images are too small for, or have not the colours for.
    """

    def __init__(
        self,
        split: Split,
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augmentation | None,
        seed: int,
    ) -> None:
        self.split = split
        self.augment = augment or Augmentation()
        self.seed = seed
        _, channels, height, width = split.images.shape
        check_augmentation(self.augment, (channels, height, width))
        self._pixel_changes = pixel_changes(self.augment)
        self._erasures = erasures(self.augment)
        device = split.images.device
        # Divisors are tensors because CUDA turns division by a number into multiplication by its
        # inverse, which rounds differently from the CPU's division.
        self._scale = torch.tensor(255.0, device=device)
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._bits = EpochBits(seed, len(split), device)
        sides = (height, width)
        self._targets = TargetViews(split.targets, self.augment, sides, seed, split.weights)

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, index: Tensor, epoch: int) -> tuple[Tensor, dict[str, Targets]]:
        """The views of some samples in one epoch.

        Args:
            index: [B] int64 sample indices of the split, on any device.
            epoch: Epoch the views belong to.

        Returns:
            Normalised float32 images [B, C, H, W] and their targets by task, blended under
            mixup and CutMix.
        """
        index = index.to(self.split.device)
        mixture = self._targets.mixture(index, epoch)
        return self._blended(index, epoch, mixture), self._targets.of(index, mixture)

    def images(self, index: Tensor, epoch: int) -> Tensor:
        """The images of :meth:`batch` alone."""
        index = index.to(self.split.device)
        return self._blended(index, epoch, self._targets.mixture(index, epoch))

    def _blended(self, index: Tensor, epoch: int, mixture: Mixture | None) -> Tensor:
        images = self._view(index, epoch)
        if mixture is None:
            return images
        return blend_(images, self._view(mixture.partner, epoch), mixture.weight)

    def _view(self, index: Tensor, epoch: int) -> Tensor:
        """The samples' own views, without any partner."""

        def bits(draw: Draw) -> Tensor:
            return self._bits(epoch, index, draw)

        return self._changed(self.split.images_at(index), bits)

    def _changed(self, images: Tensor, bits: Bits) -> Tensor:
        """Normalised float32 views of uint8 images [B, C, H, W]."""
        for change in self._pixel_changes:
            images = change(images, bits)
        images = images.to(torch.float32).div_(self._scale).sub_(self._mean).div_(self._std)
        for change in self._erasures:
            images = change(images, bits)
        return images
