"""What a study would do, for a person: sample trials, pairs that cannot work, who teaches what."""

from __future__ import annotations

from collections.abc import Sequence

from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.render.front import size_head
from kdsearch.results.naming import shown_way, student_told
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import describe_trial
from kdsearch.space.fitting import Fitting
from kdsearch.spec.names import together
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BY_TASK, TEACHER, called


def samples_view(records: Sequence[TrialRecord], width: int | None = None) -> Layout:
    """Sample trials with their sizes, one a line of so many letters."""
    rows = [describe_trial(record) for record in records]
    several = {row["teacher"] for row in rows} - {None, TEACHER}
    taught = [row["teacher"] or "" if several else "" for row in rows]
    values = [
        ", ".join(f"{name} {value:.3g}" for name, value in row["hyperparameters"].items())
        for row in rows
    ]
    sizes = ("parameters", "macs", "bytes")
    columns = (
        Column("method", [row["method"] for row in rows], right=False, least=13),
        Column("taught by", taught, 5, right=False),
        Column("values", values, 3, right=False, least=16),
        Column("student", [student_told(row) for row in rows], 1, right=False, least=17),
        Column("way", [shown_way(row) for row in rows], 1, right=False, least=8),
        Column("lr", [f"{row['lr']:.3g}" for row in rows], 6),
        *(
            Column(size_head(name), [f"{row[name]:,}" for row in rows], rank)
            for rank, name in zip((2, 7, 8), sizes, strict=True)
        ),
    )
    return fitted(columns, width, "sample trials")


def unfit_lines(fitting: Fitting) -> list[str]:
    """The pairs on which a method cannot work, and the students of which a way makes nothing, and
    why; the search proposes none of them."""
    teachers: dict[tuple[str, str, str], list[str]] = {}
    for (label, teacher, student), reason in fitting.unfit.items():
        teachers.setdefault((label, student, reason), []).append(teacher)
    students: dict[tuple[str, str, str], list[str]] = {}
    for (label, student, reason), names in teachers.items():
        students.setdefault((label, together(names), reason), []).append(student)
    methods = [
        f"never proposed: {label} for {together(keys)}{f', taught by {by}' if by else ''}: "
        f"{reason.partition(' cannot work on this pair: ')[2] or reason}"
        for (label, by, reason), keys in students.items()
    ]
    ways = [
        f"never proposed: {label} of {key}: {reason.removeprefix(f'{label}: ')}"
        for (label, key), reason in fitting.unfit_ways.items()
    ]
    return methods + ways


def specialist_lines(spec: StudySpec) -> list[str]:
    """Which teachers know some of the tasks alone, and who answers each under ``by_task``."""
    known = [
        f"{'the ' * (name == TEACHER)}{called(name)} knows {together(tasks)}"
        for name, tasks in spec.specialists.items()
    ]
    if not known:
        return []
    answers = [f"{task} of {name}" for task, name in spec.answered_by.items()]
    compared = "; students are compared with it" if spec.compared_with == BY_TASK else ""
    return [*known, f"{BY_TASK}: {together(answers)}{compared}"]
