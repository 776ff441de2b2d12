"""Ways to a small model beside width and depth: pruning, low rank, sharing, sparsity, quantization.

``WAYS`` holds every way by name. A label such as ``"low_rank+quantize"`` names a sum of them.
"""

from kdsearch.ways.base import Stage, Way
from kdsearch.ways.constraints import settle
from kdsearch.ways.labels import (
    parse_ways,
    searched_way_values,
    way_configs,
    way_hyperparameters,
    way_label,
    way_values,
    wider_ways,
)
from kdsearch.ways.registry import (
    WAYS,
    fill,
    find_way,
    form_at_end,
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
    "form_at_end",
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
    "wider_ways",
]
