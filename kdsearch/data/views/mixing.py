"""Two images in one: mixup and CutMix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.views.draws import Bits, Draw
from kdsearch.data.views.rectangles import covered
from kdsearch.spec.sections import Augmentation

_QUANTILE_BITS = 12


@dataclass(frozen=True)
class Mixture:
    """What each sample of a batch is mixed with.

    Attributes:
        partner: [B] places in the split of the other images.
        share: [B] float32, the share of each sample's own label.
        weight: float32 [B, 1, 1, 1] or [B, 1, H, W], the share of the own image at each pixel.
    """

    partner: Tensor
    share: Tensor
    weight: Tensor


class Mixing:
    """The mixtures of a split's samples under ``data.augment``.

    Under mixup and CutMix together, each sample takes one of the two with probability ½.

    Args:
        augment: At least one of ``mixup`` and ``cutmix`` is above 0.
        samples: Samples of the split.
        sides: (height, width) of the images; ``None`` without any, and then without CutMix.
        device: Where the draws are.
    """

    def __init__(
        self,
        augment: Augmentation,
        samples: int,
        sides: tuple[int, int] | None,
        device: torch.device,
    ) -> None:
        mixup, cutmix = augment.mixup, augment.cutmix
        self._samples = samples
        self._sides = sides or (1, 1)
        self._quantiles = beta_quantiles(mixup, device) if mixup else None
        self._halves = half_sides(cutmix, self._sides, device) if cutmix else None

    def __call__(self, bits: Bits) -> Mixture:
        """The mixture of a batch, by its samples' draws."""
        partner = mixup_partner(self._samples, bits)
        if self._halves is None:
            assert self._quantiles is not None
            share = mixup_share(self._quantiles, bits)
            return Mixture(partner, share, share[:, None, None, None])
        inside, kept = cutmix_box(self._halves, self._sides, bits)
        outside = (~inside).to(torch.float32)
        if self._quantiles is None:
            return Mixture(partner, kept, outside[:, None])
        share = mixup_share(self._quantiles, bits)
        pastes = bits(Draw.CUTMIX) % 2 == 1
        weight = torch.where(pastes[:, None, None], outside, share[:, None, None])
        return Mixture(partner, torch.where(pastes, kept, share), weight[:, None])


def mixup_partner(size: int, bits: Bits) -> Tensor:
    """The sample [B] that each is blended with, any of the ``size`` of the split."""
    return bits(Draw.MIXUP_PARTNER) % size


def mixup_share(quantiles: Tensor, bits: Bits) -> Tensor:
    """The share [B] of each sample's own image, from Beta(α, α) (Zhang et al. 2018).

    Args:
        quantiles: :func:`beta_quantiles` of α, of which each is drawn as often.
        bits: The draws of the samples.
    """
    return quantiles.index_select(0, bits(Draw.MIXUP_SHARE) >> (63 - _QUANTILE_BITS))


def cutmix_box(halves: Tensor, sides: tuple[int, int], bits: Bits) -> tuple[Tensor, Tensor]:
    """The box that is pasted from another image (Yun et al. 2019).

    Its centre is a random pixel; what lies beyond the border is clipped.

    Args:
        halves: :func:`half_sides` of α, of which each is drawn as often.
        sides: (height, width) of the images.
        bits: The draws of the samples.

    Returns:
        Mask [B, H, W] of the box, and the share [B] of the image outside it, float32.
    """
    drawn = bits(Draw.CUTMIX_SHARE) >> (63 - _QUANTILE_BITS)
    drawn_halves = halves.index_select(0, drawn)
    masks = []
    for axis, draw in enumerate((Draw.CUTMIX_ROW, Draw.CUTMIX_COLUMN)):
        centre, half = bits(draw) % sides[axis], drawn_halves[:, axis]
        masks.append(covered(centre - half, 2 * half[:, None], sides[axis]))
    rows, columns = masks
    # Whole numbers up to the division, which is by a tensor because CUDA turns one by a number into
    # multiplication by its inverse.
    area = sides[0] * sides[1]
    kept = area - rows.sum(dim=1) * columns.sum(dim=1)
    share = kept.to(torch.float32) / torch.full((), float(area), device=drawn.device)
    return rows[:, :, None] & columns[:, None, :], share


def half_sides(alpha: float, sides: tuple[int, int], device: torch.device) -> Tensor:
    """Half the height and width [4096, 2] of a box, in whole pixels, by quantile of λ.

    With λ from Beta(α, α), its sides are √(1 - λ) of the image's.
    """
    share = beta_quantiles(alpha, torch.device("cpu")).to(torch.float64)
    length = (1 - share).sqrt()[:, None] * torch.tensor(sides, dtype=torch.float64) / 2
    return length.floor().to(torch.int64).to(device)


def blend_(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """``weight * own + (1 - weight) * other`` of [B, C, H, W] images; both are spent.

    Three separately rounded operations: a fused one would round differently by device.

    Args:
        own: The samples' own images.
        other: Those of their partners.
        weight: [B, 1, 1, 1] or [B, 1, H, W].
    """
    return own.mul_(weight).add_(other.mul_(1 - weight))


@lru_cache(maxsize=16)
def beta_quantiles(alpha: float, device: torch.device) -> Tensor:
    """4096 midpoint quantiles of Beta(α, α), the same on every device."""
    # Imported late: SciPy's statistics take a second to load, and only mixing needs them.
    from scipy.stats import beta

    count = 1 << _QUANTILE_BITS
    middles = (np.arange(count) + 0.5) / count
    quantiles = torch.from_numpy(beta.ppf(middles, alpha, alpha)).to(torch.float32)
    return quantiles.to(device)
