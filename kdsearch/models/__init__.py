"""Networks, teachers and students alike: families with width and depth knobs, the signals that
distillation reads of them, and their sizes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsearch.models.family import Family
    from kdsearch.models.inputs import Input, Inputs, of_images
    from kdsearch.models.network import Network, signals_of
    from kdsearch.models.registry import FAMILIES, blueprint, build_network
    from kdsearch.models.signals import (
        Signal,
        SignalKind,
        Signals,
        SignalShape,
        SignalShapes,
        Trace,
    )
    from kdsearch.models.size import Size, measure, measure_config

_HOMES = {
    "FAMILIES": "registry",
    "Family": "family",
    "Input": "inputs",
    "Inputs": "inputs",
    "Network": "network",
    "Signal": "signals",
    "SignalKind": "signals",
    "SignalShape": "signals",
    "SignalShapes": "signals",
    "Signals": "signals",
    "Size": "size",
    "Trace": "signals",
    "blueprint": "registry",
    "build_network": "registry",
    "measure": "size",
    "measure_config": "size",
    "of_images": "inputs",
    "signals_of": "network",
}

__all__ = [
    "FAMILIES",
    "Family",
    "Input",
    "Inputs",
    "Network",
    "Signal",
    "SignalKind",
    "SignalShape",
    "SignalShapes",
    "Signals",
    "Size",
    "Trace",
    "blueprint",
    "build_network",
    "measure",
    "measure_config",
    "of_images",
    "signals_of",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: processes that read inputs need few."""
    if name in _HOMES:
        return getattr(import_module(f"kdsearch.models.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kdsearch.models' has no attribute '{name}'")
