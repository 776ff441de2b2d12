"""Changes of colour of uint8 images, each image by a strength of its own.

The results are those of torchvision's functions of the same names, up to a last unit where sums are
rounded in another order; the arithmetic is the same on every device and for every batch, bit for
bit. Strengths are float32 [B] unless told otherwise.

Divisors are tensors because CUDA turns division by a number into multiplication by its inverse, and
are filled on the device because copying one there would wait for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Scale uint8 images [B, C, H, W] by a factor: 0 is black, 1 the image."""
    return _as_bytes(images.to(torch.float32).mul_(_by_sample(factor)))


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend uint8 images with the mean of their grey values: at factor 0 that, at 1 the image."""
    grey = _grey(images)
    # Sums of whole numbers are exact, so they do not depend on the order of the additions.
    total = grey.sum(dim=(1, 2, 3), dtype=torch.float64)
    count = torch.full((), float(grey[0].numel()), dtype=torch.float64, device=images.device)
    return _blended(images, _by_sample((total / count).to(torch.float32)), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend uint8 images with their grey values: at factor 0 those, at 1 the image.

    Grey images stay as they are.
    """
    if images.shape[1] == 1:
        return images
    return _blended(images, _grey(images), factor)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of uint8 images [B, 3, H, W] by a share of the colour circle, in HSV."""
    red, green, blue = images.to(torch.float32).unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    divisor = chroma.clamp(min=1)  # whole numbers: only a chroma of 0, which has no hue, changes
    angle = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    angle = angle + (turns * 6)[:, None, None]  # in sextants, red at 0
    shades = []
    for offset in (5, 3, 1):
        place = (angle + offset).remainder_(6)
        short = torch.minimum(place, 4 - place).clamp_(0, 1)
        shades.append(value - short.mul_(chroma))
    return torch.stack(shades, dim=1).round_().clamp_(0, 255).to(torch.uint8)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend uint8 images with smoothed ones (3×3, the middle five times): at 1 the image.

    Pixels at the border stay as they are.
    """
    if min(images.shape[2:]) <= 2:
        return images
    whole = images.to(torch.float32)
    three = whole[..., :-2, :] + whole[..., 1:-1, :] + whole[..., 2:, :]
    total = three[..., :-2] + three[..., 1:-1] + three[..., 2:]
    middle = whole[..., 1:-1, 1:-1]
    count = torch.full((), 13.0, device=images.device)
    smooth = (total + 4 * middle).div_(count).round_()
    middle.add_(smooth.sub_(middle).mul_(1 - _by_sample(factor)))
    return _as_bytes(whole)


def posterize(images: Tensor, mask: Tensor) -> Tensor:
    """Keep the bits of uint8 images that are set in each image's mask [B], uint8."""
    return images & _by_sample(mask)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values of uint8 images from each image's threshold [B], uint8, upwards."""
    return torch.where(images >= _by_sample(threshold), 255 - images, images)


def _grey(images: Tensor) -> Tensor:
    """Grey values [B, 1, H, W] of RGB images, whole float32 numbers; grey images stay as they are.

    Args:
        images: [B, 1 or 3, H, W] uint8.
    """
    whole = images.to(torch.float32)
    if images.shape[1] == 1:
        return whole
    red, green, blue = (
        whole[:, channel : channel + 1] * share for channel, share in enumerate(_LUMA)
    )
    return red.add_(green).add_(blue).floor_()


def _blended(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * other``, the products and the sum rounded."""
    share = _by_sample(factor)
    return _as_bytes(images.to(torch.float32).mul_(share).add_((1 - share) * other))


def _as_bytes(values: Tensor) -> Tensor:
    return values.clamp_(0, 255).to(torch.uint8)


def _by_sample(values: Tensor) -> Tensor:
    """[B] as [B, 1, 1, 1], to be combined with images."""
    return values[:, None, None, None]
