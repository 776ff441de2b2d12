"""Ways to a small model beside width and depth: pruning, low rank, sharing, sparsity, quantization.

``WAYS`` holds every way by name. A label such as ``"low_rank+quantize"`` names a sum of them.
"""

from kdsearch.ways.base import Stage, Way
from kdsearch.ways.constraints import settle
from kdsearch.ways.labels import (
    is_cut_from_wider,
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
    staging,
    storing,
    way_names,
)

__all__ = [
    "WAYS",
    "Stage",
    "Way",
    "fill",
    "find_way",
    "is_cut_from_wider",
    "make_ways",
    "parse_ways",
    "reshape",
    "searched_way_values",
    "settle",
    "staging",
    "storing",
    "way_configs",
    "way_hyperparameters",
    "way_label",
    "way_names",
    "way_values",
]
