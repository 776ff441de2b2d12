"""Configurations with every value decided: what one training is given."""

from kdsearch.spec.concrete.fine_tuning import BACKBONE, FineTuning
from kdsearch.spec.concrete.method import MethodConfig, TermConfig
from kdsearch.spec.concrete.network import InitialWeights, InputNames, ModelConfig, StoredAs
from kdsearch.spec.concrete.training import ClassWeights, TrainingConfig

__all__ = [
    "BACKBONE",
    "ClassWeights",
    "FineTuning",
    "InitialWeights",
    "InputNames",
    "MethodConfig",
    "ModelConfig",
    "StoredAs",
    "TermConfig",
    "TrainingConfig",
]
