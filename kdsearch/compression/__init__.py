"""Narrower and shallower networks that begin with the weights of larger ones."""

from kdsearch.compression.checking import check_cut
from kdsearch.compression.cut import cut, cut_to_depth

__all__ = ["check_cut", "cut", "cut_to_depth"]
