"""A study for a person: front, ranking of methods, sample trials, what cannot work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from kdsearch.methods import UNDISTILLED
from kdsearch.problems import CLASSIFICATION, Metric, find_metric
from kdsearch.render.tables import plain_table
from kdsearch.render.units import sized
from kdsearch.results.ranking import ENDS, MIN_TRIALS
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import describe_trial
from kdsearch.space.compatibility import Fitting
from kdsearch.spec.names import together
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import BY_TASK, TEACHER, called

NEAR = "*"
"""Stands after the number of a trial that is not on the front but within noise of it."""

WIDE = 140
"""Columns of a line from which the metrics find room that are shown in a wide table alone."""


def front_view(front: pd.DataFrame, title: str, width: int = WIDE) -> Table:
    """The front with test scores and gain, shares in percent and points.

    The objective and the metrics that are always shown stand where they are known, others where
    there is room; and who taught where several did.

    Args:
        front: The table of the front.
        title: The line above.
        width: Columns of a line; a narrow one has no room for all scores.
    """
    scores = _shown(front, width)
    heads = [find_metric(name).head for name in scores]
    heads[:1] = [f"test {head}" for head in heads[:1]]
    taught = ["taught by"] if set(front["teacher"].dropna()) - {TEACHER} else []
    right = ("trial", "T")
    table = plain_table(
        "trial", "method", *taught, "T", "weights", "student", title=title, right=right
    )
    for head in ("parameters", "MACs", *heads, "gain"):
        table.add_column(head, justify="right", no_wrap=True)
    beaten = bool(len(front)) and bool(front["beaten_by"].notna().any())
    if beaten:
        table.add_column("beaten by", justify="right")
    seeds = front["seeds"].max()
    for row in front.to_dict("records"):
        table.add_row(
            f"{row['trial']}{'' if row['member'] else NEAR}",
            row["method"],
            *(["" if pd.isna(row["teacher"]) else row["teacher"]] if taught else []),
            "" if pd.isna(row["temperature"]) else f"{row['temperature']:.3g}",
            _weights(row),
            _student(row),
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            *(_interval(row, f"test_{name}", "seeds", seeds) for name in scores),
            "baseline"
            if row["method"] == UNDISTILLED
            else _interval(row, "gain", "gain_seeds", seeds),
            *(["" if pd.isna(row["beaten_by"]) else f"{row['beaten_by']:.0f}"] if beaten else []),
        )
    return table


def front_note(front: pd.DataFrame, width: int = WIDE) -> str:
    """How the figures of :func:`front_view` came about."""
    seeds = int(front["seeds"].max()) if len(front) else 0
    shown, known = _shown(front, width), _shown(front, WIDE)
    told = _with_units([find_metric(name) for name in shown])
    heads = ", ".join(find_metric(name).head for name in known if name not in shown)
    hidden = f"; {heads}: in a wider terminal" if heads else ""
    return (
        f"test {told}; gain in {_unit(front)} over the same student undistilled, at "
        f"its own best {_tuned(front)}; mean ± 95 % interval (Student's t) over "
        f"{seeds} seeds unless n says otherwise; front chosen on validation{_near_note(front)}"
        f"{_beaten_note(front)}{_trainings_note(front)}{hidden}"
    )


def _tuned(front: pd.DataFrame) -> str:
    """What a baseline is tuned over."""
    if any(str(name).startswith("task.") for name in front):
        return "learning rate, weight decay and task weights"
    return "learning rate and weight decay"


def gain_note(front: pd.DataFrame, size: str) -> str:
    """Where distillation helps and where not, by the gains' intervals; empty without any."""
    gains = front[front["gain"].notna()] if len(front) else front
    if not len(gains):
        return ""
    low, high = gains["gain"] - gains["gain_ci"], gains["gain"] + gains["gain_ci"]
    parts = [
        f"{verb} at {len(rows)} of {len(gains)} finalists ({_span(rows, size)})"
        for verb, rows in (
            ("helps", gains[low > 0]),
            ("costs", gains[high < 0]),
            ("is undecided", gains[~(low > 0) & ~(high < 0)]),
        )
        if len(rows)
    ]
    return f"distillation {', '.join(parts)}"


def _span(rows: pd.DataFrame, size: str) -> str:
    low, high = rows[size].min(), rows[size].max()
    return sized(high, size) if low == high else f"{low:,.0f} to {sized(high, size)}"


def _near_note(front: pd.DataFrame) -> str:
    if not len(front) or front["member"].all():
        return ""
    return f"; {NEAR} within noise of that front, on which it is not"


def _beaten_note(front: pd.DataFrame) -> str:
    if not len(front) or front["beaten_by"].isna().all():
        return ""
    return "; beaten by: a trial that is no larger and whose interval lies above"


def _trainings_note(front: pd.DataFrame) -> str:
    if not len(front) or front["trainings"].max() == 1:
        return ""
    return "; n×: its training takes n times the compute of the baseline's"


def _unit(table: pd.DataFrame) -> str:
    """The unit of a difference in the objective of a table."""
    return _objective(table).gain_unit


def _objective(table: pd.DataFrame) -> Metric:
    return find_metric(str(table["objective"].iloc[0])) if len(table) else CLASSIFICATION.main


def _with_units(metrics: Sequence[Metric]) -> str:
    """What metrics are, and their units; shares first."""
    shares = ", ".join(metric.about for metric in metrics if metric.share)
    others = [
        f"{metric.about} in {metric.unit}" if metric.unit else metric.about
        for metric in metrics
        if not metric.share
    ]
    return ", ".join([*([f"{shares} in %"] if shares else []), *others])


def _shown(front: pd.DataFrame, width: int) -> list[str]:
    """Names of the metrics of the front's table, the objective among them."""
    if not len(front):
        return []
    objective = str(front["objective"].iloc[0])
    names = [str(name).removeprefix("test_") for name in front if f"{name}_ci" in front]
    known = [name for name in names if _is_known(front, f"test_{name}")]
    always = [name for name in known if find_metric(name).shown == "always"]
    wide = [name for name in known if find_metric(name).shown == "wide" and width >= WIDE]
    return list(dict.fromkeys((*always, objective, *wide)))


def _is_known(front: pd.DataFrame, name: str) -> bool:
    return name in front and bool(front[name].notna().any())


def ranking_view(ranking: pd.DataFrame, title: str) -> Table:
    """What n trials of each method reach, in percent and points, with 95 % intervals."""
    table = plain_table("method", "trials", title=title, right=("trials",))
    metric = _objective(ranking)
    form = (".1f" if metric.share else ".3f", metric.scale)
    for head in ("hypervolume", f"best {metric.head}", "gain"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("clear")
    for row in ranking.to_dict("records"):
        table.add_row(
            row["method"],
            str(row["trials"]),
            _bracketed(row, "hypervolume", ".2f") or "too few trials",
            _bracketed(row, "best_score", *form),
            "baseline" if row["method"] == UNDISTILLED else _bracketed(row, "gain", "+.2f"),
            "yes" if row["clear"] else "",
        )
    return table


def ranking_note(ranking: pd.DataFrame) -> str:
    """How the figures of :func:`ranking_view` came about."""
    budget = int(ranking["budget"].max()) if len(ranking) else 0
    metric = _objective(ranking)
    best = f"{metric.title}{f' in {metric.unit}' if metric.unit else ''}"
    return (
        f"what {budget} complete trials of a method reach on validation, the same number for each "
        f"(a method needs {MIN_TRIALS}); hypervolume: share in % of the square of "
        f"{metric.loss_title} × relative log size that their front dominates; best {best}; gain in "
        f"points of hypervolume over {UNDISTILLED}; in brackets 95 % intervals over trials, by "
        f"bootstrap, not over training seeds; clear: the interval leaves out 0; the sampler chose "
        f"the trials"
    )


def samples_view(records: Sequence[TrialRecord]) -> Table:
    """Sample trials with their sizes."""
    rows = [describe_trial(record) for record in records]
    taught = ["taught by"] if {row["teacher"] for row in rows} - {None, TEACHER} else []
    sizes = ("parameters", "MACs", "bytes")
    heads = ["method", *taught, "values", "student", "lr", *sizes]
    table = plain_table(*heads, title="sample trials", right=("lr", *sizes))
    for row in rows:
        table.add_row(
            row["method"],
            *([row["teacher"] or ""] if taught else []),
            ", ".join(f"{name} {value:.3g}" for name, value in row["hyperparameters"].items()),
            _student(row),
            f"{row['lr']:.3g}",
            *(f"{row[name]:,}" for name in ("parameters", "macs", "bytes")),
        )
    return table


def unfit_view(fitting: Fitting) -> Table:
    """The pairs on which a method cannot work, and why; the search proposes none of them."""
    table = plain_table("method", "students", "taught by", "why not", title="\nnever proposed")
    teachers: dict[tuple[str, str, str], list[str]] = {}
    for (label, teacher, student), reason in fitting.unfit.items():
        teachers.setdefault((label, student, reason), []).append(teacher)
    students: dict[tuple[str, str, str], list[str]] = {}
    for (label, student, reason), names in teachers.items():
        students.setdefault((label, ", ".join(names), reason), []).append(student)
    for (label, taught_by, reason), keys in students.items():
        why = reason.partition(" cannot work on this pair: ")[2] or reason
        table.add_row(Text(label), Text(", ".join(keys)), taught_by, Text(why))
    return table


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


def _weights(row: Mapping[Any, Any]) -> str:
    return ", ".join(
        f"{row['method'] if name == 'weight' else name.removesuffix('.weight')} {value:.3g}"
        for name, value in row["weights"].items()
    )


def _student(row: Mapping[Any, Any]) -> str:
    depth, inputs = row["depth"], row.get("inputs")
    layers = "" if depth is None or pd.isna(depth) else f"-{int(depth)}"
    of = "" if inputs is None or pd.isna(inputs) else f" of {inputs}"
    return f"{row['family']}{layers} ×{row['width']:.3g}{of}"


def _interval(row: Mapping[Any, Any], name: str, counted: str, usual: int) -> str:
    """Mean ± interval in percent, points or the metric's unit; how many seeds if not as usual."""
    mean, half_width, count = row[name], row[f"{name}_ci"], int(row[counted])
    if count == 0:
        return "not yet"
    if pd.isna(mean):
        return ""
    gain = name == "gain"
    metric = find_metric(row["objective"] if gain else name.removeprefix("test_"))
    scale, form = metric.scale, ".2f" if metric.share else ".3f"
    spread = "" if pd.isna(half_width) else f" ± {scale * half_width:{form}}"
    fewer = "" if count == usual else f" (n={count})"
    more = f" at {row['trainings']}×" if gain and row["trainings"] > 1 else ""
    return f"{scale * mean:{'+' if gain else ''}{form}}{spread}{fewer}{more}"


def _bracketed(row: Mapping[Any, Any], name: str, form: str, scale: float = 100) -> str:
    """Mean and interval, in percent or points if not scaled otherwise; nothing without any."""
    mean, low, high = (scale * row[f"{name}{end}"] for end in ENDS)
    return "" if pd.isna(mean) else f"{mean:{form}} [{low:{form}}, {high:{form}}]"
