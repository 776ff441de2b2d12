"""Feature maps [B, C, H, W] of tests that compare a formula with NumPy, and layers over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from kdsearch.models import SignalKind, Signals, SignalShape, SignalShapes


def map_stages(*sizes: tuple[int, int, int]) -> tuple[SignalShape, ...]:
    """Stages that are maps [C, H, W]."""
    return tuple(SignalShape(SignalKind.MAP, size) for size in sizes)


def shapes_of(*features: tuple[int, int, int]) -> SignalShapes:
    """A network of 7 classes and an embedding of 5 values, with these maps [C, H, W]."""
    return SignalShapes(classes=7, embedding=5, features=map_stages(*features))


def random_maps(shapes: SignalShapes, batch: int = 3, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, *shape)) for shape in shapes.maps]


def features_of(maps: Sequence[np.ndarray], dtype: torch.dtype = torch.float64) -> Signals:
    return Signals(features=_tensors(maps, dtype))


def preactivations_of(maps: Sequence[np.ndarray], dtype: torch.dtype = torch.float64) -> Signals:
    return Signals(preactivation=_tensors(maps, dtype))


def _tensors(maps: Sequence[np.ndarray], dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(values, dtype=dtype) for values in maps)


def convolved(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A convolution of odd size and stride 1 with zeros around the maps, place by place."""
    side = weight.shape[2]
    reach = side // 2
    padded = np.pad(values, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    out = np.zeros((len(values), len(weight), *values.shape[2:]))
    for i, j in np.ndindex(*values.shape[2:]):
        window = padded[:, :, i : i + side, j : j + side]
        out[:, :, i, j] = np.einsum("oirc,birc->bo", weight, window)
    return out


def normalised(values: np.ndarray) -> np.ndarray:
    """Batch normalisation in training, with its initial scale 1 and shift 0."""
    mean, variance = values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3))
    return (values - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)


def conv_bn(layers: nn.Sequential, values: np.ndarray) -> np.ndarray:
    """A convolution without bias and the normalisation behind it, as both start."""
    return normalised(convolved(weight_of(layers[0]), values))


def weight_of(layer: nn.Module) -> np.ndarray:
    return layer.weight.detach().double().numpy()
