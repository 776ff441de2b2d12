"""The teacher's answers on disk: computed once, read by every trial as memory maps."""

from kdsearch.teacher_cache.building import CacheBuilder, Fetch
from kdsearch.teacher_cache.cache_plan import CachePlan, Subject, plan_cache
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.disk_budget import (
    folder_bytes,
    make_room,
)
from kdsearch.teacher_cache.folders import mark_used
from kdsearch.teacher_cache.layout import Layout, Precision, teacher_digest
from kdsearch.teacher_cache.parts import facts_file, map_part, read_facts

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
