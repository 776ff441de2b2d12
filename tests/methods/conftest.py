"""Random signals of two networks, and two ways of asking for a gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kdsearch.models.signals import Signals, SignalShapes
from tests.methods.maps import map_stages

STUDENT = SignalShapes(classes=7, embedding=5, features=map_stages((3, 8, 8), (4, 4, 4), (6, 2, 2)))
TEACHER = SignalShapes(classes=7, embedding=9, features=map_stages((4, 8, 8), (5, 4, 4), (8, 2, 2)))


@pytest.fixture
def student_shapes() -> SignalShapes:
    return STUDENT


@pytest.fixture
def teacher_shapes() -> SignalShapes:
    return TEACHER


@pytest.fixture
def random_signals() -> Callable[..., Signals]:
    """``random_signals(shapes, batch, seed, ...)``: every signal, each a leaf of its own."""

    def make(
        shapes: SignalShapes,
        batch: int = 6,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        requires_grad: bool = False,
    ) -> Signals:
        generator = torch.Generator().manual_seed(seed)

        def leaf(*size: int) -> Tensor:
            values = torch.randn(size, generator=generator, dtype=torch.float64)
            return values.to(dtype).requires_grad_(requires_grad)

        features = tuple(leaf(batch, *shape) for shape in shapes.maps)
        attention = tuple(
            f.detach().pow(2).mean(dim=1).requires_grad_(requires_grad) for f in features
        )
        return Signals(
            logits=leaf(batch, shapes.classes),
            embedding=leaf(batch, shapes.embedding),
            features=features,
            attention=attention,
            preactivation=tuple(leaf(batch, *shape) for shape in shapes.maps),
            strong=Signals(logits=leaf(batch, shapes.classes)),
        )

    return make


@pytest.fixture
def gradient() -> Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]:
    """``gradient(loss, values)``: the gradient of a scalar loss at ``values``."""

    def of(loss: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
        leaf = values.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(loss(leaf), leaf)
        return found

    return of
