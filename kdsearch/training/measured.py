"""Sizes that a network's training decides, measured on what is shipped of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdsearch.models import Network


def compressed_bytes(network: Network) -> int:
    """Bytes of the file of weights, compressed as archives and downloads are (deflate, level 6)."""
    from kdsearch.models.weights import shipped_content  # PyTorch, which who reads names lacks

    return len(zlib.compress(shipped_content(network), 6))


MEASURED: Mapping[str, Callable[[Network], int]] = MappingProxyType(
    {"compressed_bytes": compressed_bytes}
)
"""What gives each size that is known once a network is trained, by its name in the spec."""


def measured_sizes(network: Network, names: Collection[str]) -> dict[str, float]:
    """Some of these sizes of a network as it is now."""
    return {name: float(MEASURED[name](network)) for name in names}
