"""The methods of a study compared, for a person, from the rows of ``ranking.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdsearch.problems.described import Described
from kdsearch.render.columns import Column, Layout, fitted, in_parts
from kdsearch.render.front import Content, Row, described, size_head
from kdsearch.results.gains import undistilled
from kdsearch.spec.teaching import UNDISTILLED


def ranking_view(content: Content, width: int | None = None, wide: bool = False) -> Layout:
    """What n trials of each method reach, in percent and points, with 95 % intervals.

    A row is one line. Methods with too few trials are not in it; see :func:`too_few_note`.

    Args:
        content: What ``ranking.json`` holds.
        width: Letters of a line, into which the most telling columns are put; absent: no limit.
        wide: Whether the others stand in further tables below.
    """
    rows, metric = ranked(content), _metric(content)
    form = (".1f" if metric.share else ".3f", metric.scale)
    gains = [_bracketed(row, "gain", "+.2f", 100) for row in rows]
    gains = [
        "baseline" if undistilled(row) else gain for row, gain in zip(rows, gains, strict=True)
    ]
    columns = (
        Column("method", [row["method"] for row in rows], right=False, least=13),
        Column("trials", [str(row["trials"]) for row in rows], 2),
        Column("hypervolume", [_bracketed(row, "hypervolume", ".2f", 100) for row in rows], 4),
        Column(f"best {metric.head}", [_bracketed(row, "best_score", *form) for row in rows], 3),
        Column("gain", gains),
        Column("clear", ["yes" if row["clear"] else "" for row in rows], 1, right=False),
    )
    return (in_parts if wide else fitted)(
        columns, width, f"methods of {content['study']} at one budget"
    )


def ranked(content: Content) -> Sequence[Row]:
    """The methods that have enough trials, the best first."""
    return [row for row in content["ranking"] if row["hypervolume"] is not None]


def too_few_note(content: Content) -> str:
    """Which methods have too few trials; empty where all have enough."""
    few = [
        f"{row['method']} {row['trials']}"
        for row in content["ranking"]
        if row["hypervolume"] is None
    ]
    if not few:
        return ""
    needed = f"fewer than {content['least_trials']} complete trials"
    if len(few) == len(content["ranking"]):
        return f"nothing to rank yet: every method has {needed} ({', '.join(few)})"
    return f"not ranked, with {needed}: {', '.join(few)}"


def ranking_notes(content: Content, shown: Layout) -> list[str]:
    """How the figures of :func:`ranking_view` came about."""
    budget = max(int(row["budget"]) for row in content["ranking"])
    metric = _metric(content)
    best = f"{metric.title}{f' in {metric.unit}' if metric.unit else ''}"
    note = (
        f"what {budget} complete trials of a method reach on validation, the same number for each; "
        f"hypervolume: share in % of the square of {metric.loss_title} × relative log size that "
        f"their front dominates; best {best}; gain in points of hypervolume over {_base(content)}; "
        "in brackets 95 % intervals over trials, by bootstrap, not over training seeds; clear: the "
        "interval leaves out 0; the sampler chose the trials"
    )
    few = too_few_note(content)
    return [each for each in (note, few, shown.hint) if each]


def ways_view(content: Content, width: int | None = None) -> Layout | None:
    """What n trials of each way reach at most sizes, the best way first; none where there is one.

    A study of an earlier version had none.
    """
    rows = content.get("ways") or []
    if not rows:
        return None
    metric = _metric(content)
    form = (".1f" if metric.share else ".3f", metric.scale)
    size = rows[0]["size"]
    best = [_bracketed(row, "best_score", *form) if row["fits"] else "" for row in rows]
    told = [f"{row['at_most']:,.0f}" if row["first"] else "" for row in rows]
    columns = (
        Column(f"at most {size_head(size)}", told),
        Column("way", [row["way"] for row in rows], right=False, least=10),
        Column(f"best {metric.head}", best),
        Column("trials so small", [f"{row['fits']} of {row['trials']}" for row in rows], 2),
        Column("clear", ["yes" if row["clear"] else "" for row in rows], 1, right=False),
    )
    return fitted(columns, width, f"ways of {content['study']} by size")


def ways_note(content: Content) -> str:
    """How the figures of :func:`ways_view` came about."""
    rows, few = content["ways"], content.get("ways_of_few") or {}
    told = ", ".join(f"{label} ({count})" for label, count in few.items())
    left = f"; too few complete trials: {told}" if told else ""
    return (
        f"what {rows[0]['budget']} complete trials of a way reach on validation with students of "
        "at most this size, the same number for each, whatever their method; a trial whose student "
        "is larger counts as the worst; in brackets 95 % intervals over trials, by bootstrap; "
        f"clear: the interval of the lead over the second leaves out 0{left}"
    )


def _base(content: Content) -> str:
    """What the gains are over: of several methods without a teacher, the one that reaches most."""
    rows = [row for row in ranked(content) if undistilled(row)]
    return max(rows, key=lambda row: row["hypervolume"])["method"] if rows else UNDISTILLED


def _metric(content: Content) -> Described:
    return described(content)[content["objective"]]


def _bracketed(row: Mapping[str, Any], name: str, form: str, scale: float) -> str:
    """Mean and interval; nothing without any."""
    if row[name] is None:
        return ""
    mean, low, high = (scale * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"
