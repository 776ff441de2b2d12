"""The static figures: front, hypervolume against compute, methods at equal budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kdsearch.report.colours import BASELINE_COLOUR
from kdsearch.report.score_axis import ScoreAxis, shown_range, ticks
from kdsearch.report.style import SIZE_NAMES, looks_of
from kdsearch.results.front import pareto_front
from kdsearch.results.gains import undistilled
from kdsearch.results.study import Study

INK = "#1a1a1a"
PROGRESS_COLOUR = "#225588"


def draw_front(axes: Axes, study: Study) -> None:
    """Trials and front on validation; finalists, baselines and the teacher on the test."""
    trials, front, size = _complete(study), study.front, study.size
    metric, score = study.objectives.metric, study.objectives.score
    axes.set_xlabel(SIZE_NAMES[size])
    if not len(trials):
        axes.set_ylabel(metric.title)
        return
    own = trials[f"validation_{score}"].tolist()
    teacher = study.teacher.test.get(score) if study.teacher else None
    others = [*_ends(front, f"test_{score}"), *_ends(front, f"baseline_{score}")]
    others += [] if teacher is None else [teacher]
    axis = ScoreAxis.of(metric, [*own, *front.get(f"test_{score}", [])])
    _draw_trials(axes, study, trials, axis)
    _draw_validation_front(axes, study, axis)
    if len(front):
        distilled = front[[not undistilled(row) for row in front.to_dict("records")]]
        if len(distilled):
            alone = "baseline without adaptation" if study.spec.target else "undistilled baseline"
            _draw_tested(axes, distilled, size, f"baseline_{score}", axis, alone)
        _draw_tested(axes, front, size, f"test_{score}", axis, "finalist")
    if teacher is not None:
        height = float(axis.place([teacher])[0])
        axes.axhline(height, color=INK, linestyle="--", linewidth=1.1, label="teacher (test)")
    axis.dress(axes, *shown_range(metric, own, others))
    size_axis(axes, trials[size].tolist())
    axes.grid(alpha=0.25, which="both")


def draw_progress(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """The hypervolume over the epochs that the search has trained (see ``report.progress``)."""
    epochs = [row["epochs"] for row in rows]
    volumes = [100 * row["hypervolume"] for row in rows]
    # of a single trial there is no line
    marker = "o" if len(rows) == 1 else ""
    axes.step(epochs, volumes, marker, where="post", color=PROGRESS_COLOUR, linewidth=1.6)
    axes.set_xlabel("epochs trained, all trials together")
    axes.set_ylabel("hypervolume (%)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)


def draw_methods(axes: Axes, study: Study) -> None:
    """What so many trials of each method reach on validation, with 95 % intervals."""
    metric, ranking = study.objectives.metric, study.ranking
    rows = ranking[ranking["best_score"].notna()]
    rows = rows.sort_values("best_score", ascending=metric.better == "higher")
    known = {look.label: look for look in looks_of(study)}
    for place, row in enumerate(rows.to_dict("records")):
        look, middle = known[row["method"]], metric.scale * row["best_score"]
        ends = [metric.scale * row[f"best_score_{end}"] for end in ("low", "high")]
        axes.errorbar(
            [middle],
            [place],
            xerr=[[middle - ends[0]], [ends[1] - middle]],
            fmt=look.marker,
            color=look.colour,
            ecolor="#555555",
            markersize=6,
            capsize=3,
            linewidth=1,
        )
    axes.set_yticks(range(len(rows)), rows["method"].tolist())
    axes.set_ylim(-0.6, len(rows) - 0.4)
    unit = f" ({metric.unit})" if metric.unit else ""
    budget = int(ranking["budget"].max()) if len(ranking) else 0
    axes.set_xlabel(f"best {metric.title} of {budget} trials, on validation{unit}")
    axes.grid(alpha=0.25, axis="x")


def size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """A logarithmic horizontal axis with few ticks, such as 300, 1k, 3k."""
    low, high = min(sizes) / 1.25, max(sizes) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: short(size)))


def short(size: float) -> str:
    """A size in few letters: 1.5k, 20M."""
    for letter, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= unit:
            return f"{size / unit:g}{letter}"
    return f"{size:g}"


def _complete(study: Study) -> pd.DataFrame:
    trials = study.trials
    return trials[trials["status"] == "complete"] if len(trials) else trials


def _draw_trials(axes: Axes, study: Study, trials: pd.DataFrame, axis: ScoreAxis) -> None:
    for look in looks_of(study):
        rows = trials[trials["method"] == look.label]
        if not len(rows):
            continue
        places = axis.place(rows[f"validation_{study.objectives.score}"].tolist())
        axes.scatter(
            rows[study.size],
            places,
            label=look.label,
            s=16,
            alpha=0.6,
            color=look.colour,
            marker=look.marker,
            linewidths=0.8,
        )


def _draw_validation_front(axes: Axes, study: Study, axis: ScoreAxis) -> None:
    """The best score up to each size.

    Of a search over more than a score and a size, other trials are on the front too.
    """
    records, objectives = study.records(), study.objectives.drawn
    members = pareto_front(records, objectives)
    if not members:
        return
    largest = max(record.size(study.size) for record in records if record.complete)
    ends = [*(member.size(study.size) for member in members), largest]
    places = axis.place([objectives.value(member) for member in [*members, members[-1]]])
    told = "front (validation)"
    axes.step(ends, places, where="post", color=INK, linewidth=1.3, label=told)


def _draw_tested(
    axes: Axes, rows: pd.DataFrame, size: str, name: str, axis: ScoreAxis, told: str
) -> None:
    """Test scores with intervals: of finalists as diamonds, of their baselines as circles."""
    scores, half = rows[name].tolist(), rows[f"{name}_ci"].tolist()
    finalists = name.startswith("test_")
    colour = INK if finalists else BASELINE_COLOUR
    axes.errorbar(
        rows[size],
        axis.place(scores),
        yerr=axis.bars(scores, half),
        fmt="D" if finalists else "o",
        markerfacecolor=colour if finalists else "none",
        color=colour,
        markersize=5 if finalists else 6,
        capsize=3,
        linewidth=1,
        zorder=4 if finalists else 3,
        label=f"{told} (test)",
    )


def _ends(front: pd.DataFrame, name: str) -> list[float]:
    """The lower and upper ends of the finalists' intervals; the scores, where there are none."""
    if not len(front):
        return []
    scored = front[front[name].notna()]
    half = np.nan_to_num(scored[f"{name}_ci"])
    return [*(scored[name] - half), *(scored[name] + half)]
