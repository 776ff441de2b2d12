"""Networks, teachers and students alike: families with width and depth knobs, the signals that
distillation reads of them, and their sizes."""

from kdsearch.models.family import Family
from kdsearch.models.latency import (
    LatencyReference,
    leave_core,
    measure_latency,
    reserved_core,
)
from kdsearch.models.network import Network, signals_of
from kdsearch.models.registry import FAMILIES, blueprint, build_network
from kdsearch.models.signals import Signal, SignalKind, Signals, SignalShape, SignalShapes, Trace
from kdsearch.models.size import Size, measure, measure_config

__all__ = [
    "FAMILIES",
    "Family",
    "LatencyReference",
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
    "leave_core",
    "measure",
    "measure_config",
    "measure_latency",
    "reserved_core",
    "signals_of",
]
