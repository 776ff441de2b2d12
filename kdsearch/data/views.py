"""The pictures of a split as a network sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kdsearch.data.augment import (
    blend,
    check_augmentation,
    crop_and_flip,
    cutout,
    mixup_partner,
    mixup_share,
)
from kdsearch.data.dataset import Split
from kdsearch.methods.targets import Targets
from kdsearch.spec.sections import Augmentation


class Views:
    """Normalised, augmented batches of one split, on the split's device.

    A sample's view is a pure function of (seed, epoch, sample index): bit for bit the same whatever
    batch the sample is in and in whatever order the epoch is visited.

    Args:
        split: The pictures and labels.
        mean: [C] means of the training pictures, scaled to [0, 1].
        std: [C] standard deviations, likewise.
        augment: Random changes, or ``None`` for the plain pictures.
        seed: Seed of the views.

    Raises:
        DataError: A crop or a cutout too large for the pictures.
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
        check_augmentation(self.augment, split.images.shape[2:])
        device = split.images.device
        # Divisors are tensors because CUDA turns division by a number into multiplication by its
        # inverse, which rounds differently from the CPU's division.
        self._scale = torch.tensor(255.0, device=device)
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).view(1, -1, 1, 1)

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, index: Tensor, epoch: int) -> tuple[Tensor, Targets]:
        """The views of some samples in one epoch.

        Args:
            index: [B] int64 sample indices of the split, on any device.
            epoch: Epoch the views belong to.

        Returns:
            Normalised float32 pictures [B, C, H, W] and their targets, blended under mixup.
        """
        index = index.to(self.split.labels.device)
        images, labels = self._view(index, epoch), self.split.labels[index]
        if not self.augment.mixup:
            return images, Targets(labels, index=index)
        partner = mixup_partner(len(self.split), self.seed, epoch, index)
        share = mixup_share(self.augment.mixup, self.seed, epoch, index)
        images = blend(images, self._view(partner, epoch), share)
        return images, Targets(labels, self.split.labels[partner], share, index)

    def _view(self, index: Tensor, epoch: int) -> Tensor:
        """The samples' own views, without any partner."""
        change = self.augment
        images = self.split.images[index]
        images = crop_and_flip(images, change.crop, change.flip, self.seed, epoch, index)
        images = (images.to(torch.float32) / self._scale - self._mean) / self._std
        return cutout(images, change.cutout, self.seed, epoch, index)
