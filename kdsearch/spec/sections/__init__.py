"""The sections of a search-space file, field by field."""

from kdsearch.spec.augmentation import Augmentation
from kdsearch.spec.sections.cache import CacheSection, SignalName
from kdsearch.spec.sections.data import DataSection
from kdsearch.spec.sections.finalists import FinalistsSection
from kdsearch.spec.sections.identity import Identity
from kdsearch.spec.sections.networks import StudentSection, TeacherSection
from kdsearch.spec.sections.resources import ResourcesSection
from kdsearch.spec.sections.source import SourceSection
from kdsearch.spec.sections.target import TargetSection
from kdsearch.spec.sections.tracking import TrackingSection
from kdsearch.spec.sections.training import SEARCHED_TRAINING, TrialTraining

__all__ = [
    "SEARCHED_TRAINING",
    "Augmentation",
    "CacheSection",
    "DataSection",
    "FinalistsSection",
    "Identity",
    "ResourcesSection",
    "SignalName",
    "SourceSection",
    "StudentSection",
    "TargetSection",
    "TeacherSection",
    "TrackingSection",
    "TrialTraining",
]
