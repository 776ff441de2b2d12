"""Ways to a small model beside width and depth: low rank, sharing, sparsity, quantization.

``WAYS`` holds every way by name. A label such as ``"low_rank+quantize"`` names a sum of them.
"""

from kdsearch.ways.base import Way
from kdsearch.ways.constraints import settle
from kdsearch.ways.labels import (
    parse_ways,
    searched_way_values,
    way_configs,
    way_hyperparameters,
    way_label,
    way_values,
)
from kdsearch.ways.registry import (
    WAYS,
    fill,
    find_way,
    make_ways,
    reshape,
    storing,
    way_names,
)

__all__ = [
    "WAYS",
    "Way",
    "fill",
    "find_way",
    "make_ways",
    "parse_ways",
    "reshape",
    "searched_way_values",
    "settle",
    "storing",
    "way_configs",
    "way_hyperparameters",
    "way_label",
    "way_names",
    "way_values",
]
