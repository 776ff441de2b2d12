"""The teacher's answers on disk: computed once, read by every trial as memory maps."""

from kdsearch.training.cache.budget import (
    folder_bytes,
    make_room,
)
from kdsearch.training.cache.building import CacheBuilder, Fetch
from kdsearch.training.cache.cached import CachedTeacher
from kdsearch.training.cache.folders import mark_used
from kdsearch.training.cache.layout import Layout, Precision, teacher_digest
from kdsearch.training.cache.parts import facts_file, map_part, read_facts
from kdsearch.training.cache.plan import CachePlan, Subject, plan_cache

__all__ = [
    "CacheBuilder",
    "CachePlan",
    "CachedTeacher",
    "Fetch",
    "Layout",
    "Precision",
    "Subject",
    "facts_file",
    "folder_bytes",
    "make_room",
    "map_part",
    "mark_used",
    "plan_cache",
    "read_facts",
    "teacher_digest",
]
