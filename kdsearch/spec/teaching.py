"""Who may teach the students of a study."""

from __future__ import annotations

from pydantic import Field, field_validator

from kdsearch.spec.base import Section
from kdsearch.spec.values import Whole

TEACHER = "teacher"
"""Name of the teacher in the section ``teacher``, beside those in ``teachers``."""

AVERAGE = "average"
"""All teachers at once, by the mean of their logits."""

BY_TASK = "by_task"
"""All tasks, each taught by the teacher that knows it."""

BORN_AGAIN = "born_again"
"""The student's own like, trained before it."""

MUTUAL = "mutual"
"""A second student of the same kind, trained beside it."""

UNDISTILLED = "none"
"""Label of the baseline, whom nobody teaches: the cross-entropy alone, without any term."""

RESERVED = (TEACHER, AVERAGE, BY_TASK, BORN_AGAIN, MUTUAL)


def teacher_path(name: str) -> tuple[str, ...]:
    """Where a teacher of a name stands in the file."""
    return ("teacher",) if name == TEACHER else ("teachers", name)


def called(name: str) -> str:
    """A teacher in a sentence."""
    return TEACHER if name == TEACHER else f"teacher {name}"


class TeachingSection(Section):
    """``teaching``: who may teach a trial; the search chooses among them."""

    by: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names of teachers, ``average``, ``by_task``, ``born_again`` or ``mutual``. Absent: every
    given teacher that knows all tasks, and ``by_task`` where one does not."""
    generations: Whole = Field(default=1, ge=1, le=10)
    """Students that teach one after another under ``born_again``. Each is a whole training."""

    @field_validator("by")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            if names and names.count(name) > 1:
                raise ValueError(f"'{name}' is named twice; remove one")
        return names
