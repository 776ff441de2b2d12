"""How what is pretrained is trained further: what is frozen when, and at which learning rate."""

from kdsearch.training.fine_tuning.freezing import Freezing, check_freezing
from kdsearch.training.fine_tuning.groups import parameter_groups
from kdsearch.training.fine_tuning.phases import fine_tuning_of, phases

__all__ = ["Freezing", "check_freezing", "fine_tuning_of", "parameter_groups", "phases"]
