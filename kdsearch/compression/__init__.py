"""Narrower and shallower networks that begin with the weights of larger ones."""

from kdsearch.compression.checking import check_cut
from kdsearch.compression.cut import cut, cut_to_depth
from kdsearch.compression.importance import Samples

__all__ = ["Samples", "check_cut", "cut", "cut_to_depth"]
