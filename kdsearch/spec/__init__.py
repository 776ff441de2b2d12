"""The search-space file: typed sections, loading with line-numbered errors, overrides."""

from kdsearch.spec.concrete import MethodConfig, ModelConfig, TermConfig, TrainingConfig
from kdsearch.spec.load import load_spec, parse_spec
from kdsearch.spec.ranges import Choices, Dimension, Range
from kdsearch.spec.study import StudySpec

__all__ = [
    "Choices",
    "Dimension",
    "MethodConfig",
    "ModelConfig",
    "Range",
    "StudySpec",
    "TermConfig",
    "TrainingConfig",
    "load_spec",
    "parse_spec",
]
