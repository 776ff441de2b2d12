"""Networks that show sequences: what is declared, what is masked, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kdsearch.errors import ModelError
from kdsearch.models import (
    Network,
    Signal,
    SignalKind,
    SignalShape,
    Trace,
    build_network,
    of_images,
)
from kdsearch.spec.concrete import ModelConfig
from kdsearch.testing.transformer import HEADS, Transformer

SHAPE = (1, 8, 8)
TOKENS = 16
SHOWN = {Signal.FEATURES, Signal.PREACTIVATION, Signal.SELF_ATTENTION}


def transformer(layers: int = 2, dimension: int = 12) -> Transformer:
    torch.manual_seed(0)
    return Transformer(SHAPE, 5, dimension, layers).eval()


class Showing(Network):
    """Shows what it is given."""

    def __init__(self, **shown: Any) -> None:
        super().__init__(of_images(SHAPE), 5)
        self.shown = shown

    def trace(self, images: torch.Tensor) -> Trace:
        empty = Trace(torch.zeros(len(images), 5), torch.zeros(len(images), 3), ())
        return empty._replace(**self.shown)


def test_kinds_and_shapes_are_declared_with_whether_they_are_masked() -> None:
    shapes = transformer().signal_shapes()
    tokens = SignalShape(SignalKind.SEQUENCE, (TOKENS, 12), masked=True)
    pairs = SignalShape(SignalKind.PAIRS, (HEADS, TOKENS, TOKENS), masked=True)
    assert shapes.features == (tokens, tokens) == shapes.of(Signal.PREACTIVATION)
    assert shapes.self_attention == (pairs, pairs) == shapes.of(Signal.SELF_ATTENTION)
    assert shapes.maps == shapes.of(Signal.ATTENTION) == ()
    assert shapes.of(Signal.LOGITS) == (SignalShape(SignalKind.VECTOR, (5,)),)
    assert shapes.of(Signal.EMBEDDING) == (SignalShape(SignalKind.VECTOR, (12,)),)
    assert (tokens.channels, tokens.length, pairs.length) == (12, TOKENS, TOKENS)
    assert not shapes.pooled


def test_maps_are_declared_as_before() -> None:
    network = build_network(ModelConfig(family="convnet", width=0.5, depth=2), of_images(SHAPE), 5)
    shapes = network.signal_shapes()
    maps = [SignalShape(SignalKind.MAP, size) for size in shapes.maps]
    assert list(shapes.features) == maps == list(shapes.of(Signal.FEATURES))
    sides = [SignalShape(SignalKind.MAP, size[1:]) for size in shapes.maps]
    assert list(shapes.of(Signal.ATTENTION)) == sides
    assert shapes.pooled
    assert network.observe({"image": torch.randn(2, *SHAPE)}, set(Signal)).mask is None


def test_signals_have_the_declared_shapes_and_are_zero_at_padding_alone() -> None:
    network = transformer()
    images = torch.randn(6, *SHAPE)
    trace, signals = network.trace(images), network.observe({"image": images}, SHOWN)
    assert signals.mask is not None
    assert torch.equal(signals.mask, trace.mask)
    assert 0 < signals.mask.float().mean() < 1
    for found, shown in zip(signals.features, trace.features, strict=True):
        for sample, place in torch.cartesian_prod(torch.arange(6), torch.arange(TOKENS)).tolist():
            real = signals.mask[sample, place]
            expected = shown[sample, place] if real else torch.zeros(12)
            assert torch.equal(found[sample, place], expected)
    for found, shown in zip(signals.self_attention, trace.self_attention, strict=True):
        assert found.shape == (6, HEADS, TOKENS, TOKENS)
        real = signals.mask.float()
        both = torch.einsum("bi,bj->bij", real, real)[:, None]
        assert torch.equal(found, shown * both)
        rows = found.sum(dim=3)  # attention to real tokens is all there is
        assert torch.allclose(rows, real[:, None].expand_as(rows), atol=1e-6)
    assert len(signals.preactivation) == len(signals.features)


def test_the_mask_comes_with_sequences_alone() -> None:
    network, images = transformer(), torch.randn(2, *SHAPE)
    for signal in Signal:
        signals = network.observe({"image": images}, {signal})
        assert (signals.mask is not None) == (signal in SHOWN)
        assert (signals.mask_of(signal) is not None) == (signal in SHOWN)
    everything = network.observe({"image": images}, set(Signal))
    assert {s for s in Signal if everything.mask_of(s) is not None} == SHOWN


def test_what_is_not_a_number_at_padding_is_never_read() -> None:
    mask = torch.tensor([[True, False]]).expand(2, 2)
    dirty = torch.full((2, 2, 3), torch.nan).index_fill(1, torch.tensor([0]), 1.0)
    signals = Showing(features=(dirty,), mask=mask).observe(
        {"image": torch.zeros(2, *SHAPE)}, SHOWN
    )
    assert signals.features[0].tolist() == [[[1.0] * 3, [0.0] * 3]] * 2


def test_stages_of_several_kinds_stand_side_by_side() -> None:
    stages = (torch.zeros(2, 3, 4, 4), torch.zeros(2, 16, 6), torch.zeros(2, 7))
    network = Showing(features=stages, mask=torch.ones(2, 16, dtype=torch.bool))
    shapes = network.signal_shapes()
    assert [each.kind for each in shapes.features] == ["map", "sequence", "vector"]
    assert [each.channels for each in shapes.features] == [3, 6, 7]
    assert [each.masked for each in shapes.features] == [False, True, False]
    assert shapes.maps == ((3, 4, 4),)
    assert (
        len(network.observe({"image": torch.zeros(2, *SHAPE)}, {Signal.ATTENTION}).attention) == 1
    )


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"features": (torch.zeros(2, 1, 2, 3, 4),)}, r"Showing has a stage \[B, 1, 2, 3, 4\]"),
        ({"features": (torch.zeros(2),)}, r"Showing has a stage \[B\]"),
        (
            {"features": (torch.zeros(2, 4, 3),), "mask": torch.ones(2, 5, dtype=torch.bool)},
            "a mask of 5 positions and shows 4",
        ),
        (
            {"features": (torch.zeros(2, 4, 3),), "mask": torch.ones(2, 4)},
            r"a mask \[B, 4\] of float32; return \[B, L\] of bool",
        ),
        (
            {"self_attention": (torch.zeros(2, 1, 4, 5),)},
            r"attention over pairs \[B, 1, 4, 5\]; return one \[B, heads, L, L\]",
        ),
        (
            {
                "self_attention": (torch.zeros(2, 1, 4, 4),),
                "mask": torch.ones(2, 5, dtype=torch.bool),
            },
            "a mask of 5 positions and shows 4",
        ),
    ],
)
def test_what_has_no_kind_is_refused_in_one_sentence(shown: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        Showing(**shown).signal_shapes()
