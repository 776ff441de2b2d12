"""The kind and shape of what a network shows, from one forward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.errors import ModelError
from kdsearch.models.signals import SignalKind, SignalShape, Trace

_KINDS = {2: SignalKind.VECTOR, 3: SignalKind.SEQUENCE, 4: SignalKind.MAP}
"""Kinds of stages by the number of their dimensions."""


def declared_stages(label: str, trace: Trace) -> tuple[SignalShape, ...]:
    """What the stages of a forward pass are, shallow to deep.

    Args:
        label: What messages call the network.
        trace: Of the forward pass.

    Raises:
        ModelError: A stage is of no kind, or the mask is not that of the sequences.
    """
    _check_mask(label, trace)
    return tuple(_stage(label, values, trace.mask) for values in trace.features)


def declared_attention(label: str, trace: Trace) -> tuple[SignalShape, ...]:
    """What the layers' attention over pairs is, shallow to deep.

    Args:
        label: What messages call the network.
        trace: Of the forward pass.

    Raises:
        ModelError: It is not [B, heads, L, L], or the mask is of another L.
    """
    _check_mask(label, trace)
    for values in trace.self_attention:
        if values.ndim != 4 or values.shape[2] != values.shape[3]:
            raise ModelError(
                f"{label} shows attention over pairs {_told(values)}; return one "
                "[B, heads, L, L] a layer in self_attention"
            )
        _check_length(label, values.shape[2], trace.mask)
    masked = trace.mask is not None
    return tuple(
        SignalShape(SignalKind.PAIRS, tuple(values.shape[1:]), masked)
        for values in trace.self_attention
    )


def _stage(label: str, values: Tensor, mask: Tensor | None) -> SignalShape:
    kind = _KINDS.get(values.ndim)
    if kind is None:
        raise ModelError(
            f"{label} has a stage {_told(values)}; return maps [B, C, H, W], sequences [B, L, D] "
            "or vectors [B, D] in features"
        )
    sequence = kind == SignalKind.SEQUENCE
    if sequence:
        _check_length(label, values.shape[1], mask)
    return SignalShape(kind, tuple(values.shape[1:]), sequence and mask is not None)


def _check_mask(label: str, trace: Trace) -> None:
    mask = trace.mask
    if mask is not None and (mask.ndim != 2 or mask.dtype != torch.bool):
        raise ModelError(
            f"{label} has a mask {_told(mask)} of {str(mask.dtype).removeprefix('torch.')}; "
            "return [B, L] of bool, true where a position is real"
        )


def _check_length(label: str, length: int, mask: Tensor | None) -> None:
    if mask is not None and mask.shape[1] != length:
        raise ModelError(
            f"{label} has a mask of {mask.shape[1]} positions and shows {length}; return only what "
            "the mask is of"
        )


def _told(values: Tensor) -> str:
    return f"[{', '.join(['B', *map(str, values.shape[1:])])}]"
