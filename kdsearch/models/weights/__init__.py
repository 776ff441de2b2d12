"""Weights of networks as files: of any usual form read, as safetensors written."""

from kdsearch.models.weights.loading import load_weights
from kdsearch.models.weights.saving import (
    check_weights,
    round_to_stored,
    save_weights,
    shipped_content,
    tensors_of,
)

__all__ = [
    "check_weights",
    "load_weights",
    "round_to_stored",
    "save_weights",
    "shipped_content",
    "tensors_of",
]
