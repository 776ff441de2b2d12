"""What the suite tests a method on: small networks, random signals, a random data set."""

from __future__ import annotations

from collections.abc import Mapping, Set
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from kdsearch.data import Dataset, Scale, Split
from kdsearch.methods.targets import Targets
from kdsearch.models import (
    Network,
    Signal,
    Signals,
    SignalShapes,
    Trace,
    build_network,
    of_images,
    signals_of,
)
from kdsearch.models.inputs import IMAGE
from kdsearch.problems import Problem
from kdsearch.problems.head import MISSING_CLASS
from kdsearch.spec.concrete import ModelConfig

IMAGE_SHAPE = (3, 8, 8)
CLASSES = 5
SAMPLES = 32
"""Training samples of the data set, and what ``Method.prepare`` is told."""
BATCH = 8
_STRONG = 1000
"""What is added to the seed of signals for those of a strong view."""
PROGRESS = (0.0, 0.05, 0.5, 1.0)
"""Times at which a loss is looked at: before, in and after an initialisation, and at the end."""


@dataclass(frozen=True)
class Pair:
    """A student and the teacher it learns from.

    Attributes:
        name: Part of the tests' names.
        student: The student's architecture.
        teacher: The teacher's.
    """

    name: str
    student: ModelConfig
    teacher: ModelConfig


PAIRS = (
    Pair(
        "wider_teacher",
        ModelConfig(family="convnet", width=0.25, depth=3),
        ModelConfig(family="convnet", width=0.5, depth=3),
    ),
    Pair(
        "resnet_of_convnet",
        ModelConfig(family="resnet", width=0.25, depth=8),
        ModelConfig(family="convnet", width=0.5, depth=2),
    ),
    Pair(
        "mlp_of_convnet",
        ModelConfig(family="mlp", width=0.125, depth=2),
        ModelConfig(family="convnet", width=0.375, depth=3),
    ),
)
"""One family in two widths, and two pairs of families: more stages in the student, and fewer, maps
of other sizes and other numbers of channels."""

SEQUENCES = (
    Pair(
        "transformers",
        ModelConfig(family="kdsearch.testing.transformer:transformer", width=0.5, depth=1),
        ModelConfig(family="kdsearch.testing.transformer:transformer", width=1, depth=2),
    ),
)
"""Networks of sequences with a mask: a transformer, and a teacher twice as deep and wide."""


def build(config: ModelConfig) -> Network:
    """A network of its own, always with the same random weights and batch statistics."""
    return deepcopy(_built(config))


@lru_cache(maxsize=32)
def shapes_of(config: ModelConfig) -> SignalShapes:
    """Shapes of the signals of :func:`build`'s network."""
    return _built(config).signal_shapes()


@lru_cache(maxsize=32)
def _built(config: ModelConfig) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = build_network(config, of_images(IMAGE_SHAPE), CLASSES)
        with torch.no_grad():
            for _ in range(3):
                network(torch.randn(16, *IMAGE_SHAPE))
    return network


def random_signals(
    shapes: SignalShapes,
    seed: int,
    dtype: torch.dtype = torch.float64,
    requires_grad: bool = False,
    strong: bool = False,
) -> Signals:
    """Every signal of a batch, each tensor a leaf of its own; stage maps are not negative.

    With ``strong`` there are other ones of a strong view beside.
    """
    signals = _random_signals(shapes, seed)
    if strong:
        signals = replace(signals, strong=_random_signals(shapes, seed + _STRONG))
    return as_leaves(signals, 1.0, dtype, requires_grad)


def _random_signals(shapes: SignalShapes, seed: int) -> Signals:
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(BATCH, *size, generator=generator, dtype=torch.float64)

    preactivation = tuple(normal(*each.shape) for each in shapes.features)
    trace = Trace(
        normal(shapes.classes),
        normal(shapes.embedding),
        tuple(values.relu() if values.ndim == 4 else values for values in preactivation),
        preactivation,
        tuple(normal(*each.shape).softmax(dim=-1) for each in shapes.self_attention),
        _mask(shapes),
    )
    return signals_of(trace, frozenset(Signal))


def _mask(shapes: SignalShapes) -> Tensor | None:
    """[B, L], the same of every network of a batch: each sample has another length, from 1 up."""
    masked = [each for each in (*shapes.features, *shapes.self_attention) if each.masked]
    if not masked:
        return None
    length = masked[0].length
    lengths = torch.linspace(1, length, BATCH).round()
    return torch.arange(length) < lengths[:, None]


def as_leaves(
    signals: Signals, scale: float, dtype: torch.dtype, requires_grad: bool = False
) -> Signals:
    """The signals times ``scale``, in another type, within its range."""
    largest = torch.finfo(dtype).max

    def leaf(values: Tensor) -> Tensor:
        if not values.is_floating_point():
            return values
        scaled = (values.detach().double() * scale).clamp(-largest, largest)
        return scaled.to(dtype, copy=True).requires_grad_(requires_grad)

    return signals.changed(leaf)


def tensors(signals: Signals) -> list[Tensor]:
    """Every tensor of the signals, those of a strong view among them, without the mask."""
    found = [getattr(signals, signal.value) for signal in Signal]
    single = [held for held in found if isinstance(held, Tensor)]
    stages = [maps for held in found if isinstance(held, tuple) for maps in held]
    return [*single, *stages, *(() if signals.strong is None else tensors(signals.strong))]


def only(signals: Signals, wanted: Set[Signal]) -> Signals:
    """The signals that are wanted, the others absent, of a strong view alike."""
    named = {signal.value: getattr(signals, signal.value) for signal in wanted}
    strong = None if signals.strong is None else only(signals.strong, wanted)
    return Signals(**named, mask=signals.mask, strong=strong)


def present(signals: Signals) -> frozenset[Signal]:
    """Which signals there are."""
    held = {signal: getattr(signals, signal.value) for signal in Signal}
    return frozenset(signal for signal, given in held.items() if given is not None and given != ())


def differing(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """Names of what is not bit for bit the same in both, or in one alone."""
    common = one.keys() & other.keys()
    unequal = {name for name in common if not torch.equal(one[name], other[name])}
    return sorted(unequal | (one.keys() ^ other.keys()))


def targets_of(
    index: slice = slice(None), unlabelled: bool = False, adapts: bool = False
) -> Targets:
    """The labels of a batch, or of some of its samples; the classes in turn.

    Args:
        index: Which samples.
        unlabelled: Whether every other sample has none.
        adapts: Whether there is a target domain, of which every other sample is.
    """
    places = torch.arange(BATCH)[index]
    labels = places % CLASSES
    if unlabelled:
        labels = labels.where(places % 2 == 0, MISSING_CLASS)
    return Targets(labels, index=places, domain=places % 2 == 1 if adapts else None)


@lru_cache(maxsize=2)
def random_data(adapts: bool = False) -> Dataset:
    """32 training, 8 validation and 8 test images of noise.

    Args:
        adapts: Whether every other training image is of a target domain.
    """
    generator = torch.Generator().manual_seed(0)

    def split(samples: int) -> Split:
        size = (samples, *IMAGE_SHAPE)
        images = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
        return Split.of_classes(images, torch.arange(samples) % CLASSES)

    names = tuple(f"class {label}" for label in range(CLASSES))
    scale = Scale((0.5,) * IMAGE_SHAPE[0], (0.25,) * IMAGE_SHAPE[0])
    problem = Problem.of_classes(names)
    train = split(SAMPLES)
    if adapts:
        train = replace(train, domain=torch.arange(SAMPLES) % 2 == 1)
    return Dataset("random", train, split(8), split(8), {IMAGE: scale}, problem=problem)
