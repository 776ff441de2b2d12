"""A study for a person: front, ranking of methods, sample trials, what cannot work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from kdsearch.methods import UNDISTILLED
from kdsearch.render.tables import plain_table
from kdsearch.render.units import sized
from kdsearch.results.objectives import TO_BE_SMALL
from kdsearch.results.ranking import ENDS, MIN_TRIALS
from kdsearch.results.record import TrialRecord
from kdsearch.results.tables import describe_trial
from kdsearch.space.compatibility import Fitting
from kdsearch.spec.teaching import TEACHER

FRONT_SCORES = {
    "test_ece": ("ECE", "expected calibration error (ECE)"),
    "test_agreement": ("agreement", "agreement with the teacher's predictions"),
}
"""Columns of the front beside the accuracy: their heads and what they are."""

BALANCED = "test_balanced_accuracy"
"""Stands beside the accuracy in any width where one class has most samples."""

NEAR = "*"
"""Stands after the number of a trial that is not on the front but within noise of it."""

WIDE = 140
"""Columns of a line from which :data:`FRONT_SCORES` find room."""


def front_view(front: pd.DataFrame, title: str, width: int = WIDE) -> Table:
    """The front with test accuracy and gain, in percent and points.

    Balanced accuracy, calibration error and agreement with the teacher stand where they are known,
    and who taught where several did.

    Args:
        front: The table of the front.
        title: The line above.
        width: Columns of a line; a narrow one has no room for all scores.
    """
    scores = {"test_accuracy": "test accuracy"}
    scores |= {BALANCED: "balanced"} if _is_known(front, BALANCED) else {}
    objective = _objective(front)
    scores |= {} if objective == "accuracy" else {f"test_{objective}": _told(objective)}
    scores |= {name: head for name, (head, _) in _front_scores(front, width).items()}
    taught = ["taught by"] if set(front["teacher"].dropna()) - {TEACHER} else []
    right = ("trial", "T")
    table = plain_table(
        "trial", "method", *taught, "T", "weights", "student", title=title, right=right
    )
    for head in ("parameters", "MACs", *scores.values(), "gain"):
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
            _student(row["family"], row["width"], row["depth"]),
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            *(_interval(row, name, "seeds", seeds) for name in scores),
            "baseline"
            if row["method"] == UNDISTILLED
            else _interval(row, "gain", "gain_seeds", seeds),
            *(["" if pd.isna(row["beaten_by"]) else f"{row['beaten_by']:.0f}"] if beaten else []),
        )
    return table


def front_note(front: pd.DataFrame, width: int = WIDE) -> str:
    """How the figures of :func:`front_view` came about."""
    seeds = int(front["seeds"].max()) if len(front) else 0
    shown, known = _front_scores(front, width), _front_scores(front, WIDE)
    more = ", balanced accuracy (the mean over classes)" if _is_known(front, BALANCED) else ""
    more += "".join(f", {meaning}" for _, meaning in shown.values())
    heads = ", ".join(head for head, _ in known.values())
    hidden = "" if shown == known else f"; {heads}: in a wider terminal"
    return (
        f"test accuracy{more} in %; gain in {_unit(front)} over the same student undistilled, at "
        f"its own best learning rate and weight decay; mean ± 95 % interval (Student's t) over "
        f"{seeds} seeds unless n says otherwise; front chosen on validation{_near_note(front)}"
        f"{_beaten_note(front)}{_trainings_note(front)}{hidden}"
    )


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
    objective = _objective(table)
    return f"nats of {_told(objective)}" if objective in TO_BE_SMALL else f"points of {objective}"


def _objective(table: pd.DataFrame) -> str:
    return str(table["objective"].iloc[0]) if len(table) else "accuracy"


def _told(objective: str) -> str:
    return objective.upper() if objective in TO_BE_SMALL else objective


def _front_scores(front: pd.DataFrame, width: int) -> dict[str, tuple[str, str]]:
    """Those of :data:`FRONT_SCORES` that are known and find room."""
    if width < WIDE or not len(front):
        return {}
    return {name: told for name, told in FRONT_SCORES.items() if _is_known(front, name)}


def _is_known(front: pd.DataFrame, name: str) -> bool:
    return name in front and bool(front[name].notna().any())


def ranking_view(ranking: pd.DataFrame, title: str) -> Table:
    """What n trials of each method reach, in percent and points, with 95 % intervals."""
    table = plain_table("method", "trials", title=title, right=("trials",))
    objective = _objective(ranking)
    form = (".3f", 1) if objective in TO_BE_SMALL else (".1f",)
    for head in ("hypervolume", f"best {_told(objective)}", "gain"):
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
    objective = _objective(ranking)
    loss = {"accuracy": "error", "agreement": "disagreement"}.get(objective, _told(objective))
    best = f"{_told(objective)} in {'nats' if objective in TO_BE_SMALL else '%'}"
    return (
        f"what {budget} complete trials of a method reach on validation, the same number for each "
        f"(a method needs {MIN_TRIALS}); hypervolume: share in % of the square of {loss} × "
        f"relative log size that their front dominates; best {best}; gain in points of hypervolume "
        f"over {UNDISTILLED}; in brackets 95 % intervals over trials, by bootstrap, not over "
        f"training seeds; clear: the interval leaves out 0; the sampler chose the trials"
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
            _student(row["family"], row["width"], row["depth"]),
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


def _weights(row: Mapping[Any, Any]) -> str:
    return ", ".join(
        f"{row['method'] if name == 'weight' else name.removesuffix('.weight')} {value:.3g}"
        for name, value in row["weights"].items()
    )


def _student(family: str, width: float, depth: float | None) -> str:
    return f"{family}{'' if depth is None or pd.isna(depth) else f'-{int(depth)}'} ×{width:.3g}"


def _interval(row: Mapping[Any, Any], name: str, counted: str, usual: int) -> str:
    """Mean ± interval in percent, points or nats; the number of seeds where it is not the usual."""
    mean, half_width, count = row[name], row[f"{name}_ci"], int(row[counted])
    if count == 0:
        return "not yet"
    if pd.isna(mean):
        return ""
    gain = name == "gain"
    nats = (row["objective"] if gain else name.removeprefix("test_")) in TO_BE_SMALL
    scale, form = (1, ".3f") if nats else (100, ".2f")
    spread = "" if pd.isna(half_width) else f" ± {scale * half_width:{form}}"
    fewer = "" if count == usual else f" (n={count})"
    more = f" at {row['trainings']}×" if gain and row["trainings"] > 1 else ""
    return f"{scale * mean:{'+' if gain else ''}{form}}{spread}{fewer}{more}"


def _bracketed(row: Mapping[Any, Any], name: str, form: str, scale: float = 100) -> str:
    """Mean and interval, in percent or points if not scaled otherwise; nothing without any."""
    mean, low, high = (scale * row[f"{name}{end}"] for end in ENDS)
    return "" if pd.isna(mean) else f"{mean:{form}} [{low:{form}}, {high:{form}}]"
