"""What a study says of its teachers: their names, what they know, and who may teach."""

from __future__ import annotations

import re

from kdsearch.spec.names import suggest, together
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import (
    AVERAGE,
    BORN_AGAIN,
    BY_TASK,
    MUTUAL,
    RESERVED,
    TEACHER,
    called,
    teacher_path,
)


def check_teaching(spec: StudySpec) -> None:
    """Refuse names of teachers, their tasks, and teaching that cannot work.

    Raises:
        SpecError: The message gives its line.
    """
    _check_names(spec)
    for name in spec.given_teachers:
        _check_tasks(spec, name)
    _check_by(spec)
    _check_together(spec)
    for task in spec.problem.tasks:
        if task not in spec.answered_by:
            raise spec.refuse(
                ("teacher", "tasks"),
                f"no teacher knows the task '{task}'; add it to the tasks of one, or a teacher of "
                "it under teachers",
            )


def _check_names(spec: StudySpec) -> None:
    for name in spec.teachers:
        if name in RESERVED:
            raise spec.refuse(
                ("teachers", name),
                f"'{name}' cannot name a teacher, since {', '.join(RESERVED)} mean something "
                "already; choose another name",
            )
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise spec.refuse(
                ("teachers", name),
                f"'{name}' cannot name a teacher; use letters, digits, '_', '-', a letter first",
            )


def _check_tasks(spec: StudySpec, name: str) -> None:
    tasks, valid = spec.given_teachers[name].tasks, spec.problem.tasks
    path = (*teacher_path(name), "tasks")
    if tasks is None:
        return
    if not valid:
        raise spec.refuse(
            path, "a teacher has tasks of its own where problem.tasks names some; remove tasks"
        )
    if not tasks:
        raise spec.refuse(
            path, f"the {called(name)} would know nothing; name a task, or remove tasks"
        )
    for number, task in enumerate(tasks):
        if task not in valid:
            raise spec.refuse((*path, number), f"unknown task '{task}'; {suggest(task, valid)}")
        if task in tasks[:number]:
            raise spec.refuse((*path, number), f"the task '{task}' is named twice; remove one")


def _check_together(spec: StudySpec) -> None:
    """Refuse to put answers side by side with those of a teacher that has none in these classes."""
    for several in (AVERAGE, BY_TASK):
        for name in spec.teachers_behind(several) if several in spec.taught_by else ():
            if not spec.given_teachers[name].answers:
                raise spec.refuse(
                    (*teacher_path(name), "model", "outputs"),
                    f"'{several}' takes teachers that answer in the classes of the data, and "
                    f"the outputs of the {called(name)} are others; say what they stand for in "
                    "model.stands_for, or let it teach alone",
                )


def _check_by(spec: StudySpec) -> None:
    valid, by = [*spec.given_teachers, AVERAGE, BY_TASK, BORN_AGAIN, MUTUAL], ("teaching", "by")
    for name in spec.teaching.by or ():
        if name not in valid:
            raise spec.refuse(by, f"unknown teacher '{name}'; {suggest(name, valid)}")
    for name, tasks in spec.specialists.items():
        knows = f"{'the teacher' if name == TEACHER else name} knows {together(tasks)} alone"
        if name in spec.taught_by:
            raise spec.refuse(
                by, f"{knows}, and students learn other tasks too; name {BY_TASK} in its place"
            )
        if AVERAGE in spec.taught_by:
            raise spec.refuse(
                by,
                f"{AVERAGE} takes teachers that know all tasks, and {knows}; name {BY_TASK} in "
                "its place",
            )
    if AVERAGE in spec.taught_by and not spec.teachers:
        raise spec.refuse(by, "'average' needs a second teacher; add one under teachers")
    if BY_TASK in spec.taught_by and not spec.specialists:
        raise spec.refuse(
            by, f"'{BY_TASK}' needs a teacher that knows some of the tasks alone; give one tasks"
        )
