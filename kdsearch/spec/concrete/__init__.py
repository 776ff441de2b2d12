"""Configurations with every value decided: what one training is given."""

from kdsearch.spec.concrete.fine_tuning import BACKBONE, FineTuning
from kdsearch.spec.concrete.initial_weights import EarlierStudent, InitialWeights
from kdsearch.spec.concrete.method import MethodConfig, TermConfig
from kdsearch.spec.concrete.network import (
    FamilyName,
    Importance,
    Init,
    InputNames,
    ModelConfig,
    Normalisation,
    StoredAs,
)
from kdsearch.spec.concrete.training import ClassWeights, TrainingConfig
from kdsearch.spec.concrete.way import WayConfig

__all__ = [
    "BACKBONE",
    "ClassWeights",
    "EarlierStudent",
    "FamilyName",
    "FineTuning",
    "Importance",
    "Init",
    "InitialWeights",
    "InputNames",
    "MethodConfig",
    "ModelConfig",
    "Normalisation",
    "StoredAs",
    "TermConfig",
    "TrainingConfig",
    "WayConfig",
]
