"""``cache``."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from kdsearch.spec.base import Section
from kdsearch.spec.values import Number, UserPath, Whole

SignalName = Literal[
    "logits", "embedding", "attention", "features", "preactivation", "self_attention"
]
"""What can be read of a teacher."""


class CacheSection(Section):
    """``cache``: the teacher's signals on disk, so that trials need not run it again."""

    disk_gb: Number = Field(default=20.0, ge=0)
    """Gigabytes (10⁹ bytes) that all caches of the folder may take. 0: nothing is cached."""
    signals: tuple[SignalName, ...] = get_args(SignalName)
    """Signals that may be cached, of those that the methods read. The smallest are cached first, as
    far as they fit."""
    dtype: Literal["float32", "float16"] = "float32"
    """How signals are stored: ``float32`` as they are, ``float16`` in half the space."""
    top_k: Whole | None = Field(default=None, ge=1)
    """Store only so many of the largest logits, and the mean of the others. Absent: all."""
    folder: UserPath | None = None
    """Where caches are kept. Absent: ``.cache`` in ``study.directory``."""
    workers: Whole | None = Field(default=None, ge=0)
    """Ray Train workers that build caches ahead of the search. Absent: as many as trials run at a
    time where building takes minutes, else 0, and the trials build what they need first."""
    ahead: Whole | None = Field(default=None, ge=1)
    """Epochs that these workers build. The trials build the rest. Absent: a quarter of a
    trial's."""
