"""The front as figures: interactive for a browser, static for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kdsearch.files import taking_name_last, write_atomically
from kdsearch.problems import Metric, find_metric
from kdsearch.results.study import Study

SIZE_NAMES = {
    "parameters": "parameters",
    "macs": "multiply-accumulates a sample",
    "bytes": "bytes of weights",
    "latency": "microseconds a sample",
    "compressed_bytes": "bytes of compressed weights",
}
COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee7733",
    "#009988",
    "#882255",
    "#999933",
    "#332288",
    "#44aa99",
)
"""Colours that stay apart under the common forms of colour blindness; grey is the baseline's."""
BASELINE_COLOUR = "#888888"


def write_figures(study: Study) -> None:
    """Write ``front.html`` and ``front.png`` into the study's directory."""
    folder = study.directory.path
    page = interactive_front(study).to_html(include_plotlyjs=True)
    write_atomically(folder / "front.html", page.encode())
    with taking_name_last(folder / "front.png") as partial:
        static_front(study, partial)


def interactive_front(study: Study) -> go.Figure:
    """Trials, validation front, and finalists with their intervals on the test."""
    trials, front, size = _complete(study), study.front, study.size
    metric, score = study.objectives.metric, study.objectives.score
    others = [name for name in study.metrics if name != score]
    form = ".2%" if metric.share else ".3f"
    figure = go.Figure()
    for method, rows, colour in _by_method(trials):
        figure.add_scatter(
            x=rows[size],
            y=rows[f"validation_{score}"],
            mode="markers",
            name=method,
            marker={"size": 7, "opacity": 0.55, "color": colour},
            text=[_hover(row, "validation", others) for row in rows.to_dict("records")],
            hovertemplate=f"%{{text}}<br>validation %{{y:{form}}}<extra></extra>",
        )
    line = trials[trials["front"]].sort_values(size)
    figure.add_scatter(
        x=line[size],
        y=line[f"validation_{score}"],
        mode="lines",
        name="front (validation)",
        line={"shape": "hv", "width": 1.5, "color": "#222222"},
        hoverinfo="skip",
    )
    if len(front):
        figure.add_scatter(
            x=front[size],
            y=front[f"baseline_{score}"],
            mode="markers",
            name="undistilled baseline (test)",
            marker={"symbol": "circle-open", "size": 11, "color": BASELINE_COLOUR},
            error_y={"array": front[f"baseline_{score}_ci"], "color": BASELINE_COLOUR, "width": 3},
            hovertemplate=f"undistilled<br>test %{{y:{form}}}<extra></extra>",
        )
        figure.add_scatter(
            x=front[size],
            y=front[f"test_{score}"],
            mode="markers",
            name="finalist (test)",
            marker={"symbol": "diamond", "size": 11, "color": "#000000"},
            error_y={"array": front[f"test_{score}_ci"], "color": "#000000", "width": 3},
            text=[_hover(row, "test", others) for row in front.to_dict("records")],
            hovertemplate=f"%{{text}}<br>test %{{y:{form}}}<extra></extra>",
        )
    ticks = ".1%" if metric.share else ".2f"
    shown = _range(trials, front, score, metric)
    figure.update_layout(
        title=f"{study.spec.study.name}: {metric.title} against size",
        xaxis={"title": SIZE_NAMES[size], "type": "log"},
        yaxis={"title": metric.title, "tickformat": ticks, "range": list(shown)},
        template="plotly_white",
        legend={"title": "method"},
        hovermode="closest",
    )
    return figure


def static_front(study: Study, path: Path) -> None:
    """The same as a PNG."""
    trials, front, size = _complete(study), study.front, study.size
    metric, score = study.objectives.metric, study.objectives.score
    figure = Figure(figsize=(9, 5.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for method, rows, colour in _by_method(trials):
        axes.scatter(
            rows[size],
            rows[f"validation_{score}"],
            s=18,
            alpha=0.55,
            color=colour,
            label=method,
            linewidths=0,
        )
    line = trials[trials["front"]].sort_values(size)
    axes.step(
        line[size],
        line[f"validation_{score}"],
        where="post",
        color="#222222",
        linewidth=1.2,
        label="front (validation)",
    )
    if len(front):
        axes.errorbar(
            front[size],
            front[f"baseline_{score}"],
            yerr=front[f"baseline_{score}_ci"],
            fmt="o",
            markerfacecolor="none",
            color=BASELINE_COLOUR,
            capsize=3,
            linewidth=1,
            label="undistilled baseline (test)",
        )
        axes.errorbar(
            front[size],
            front[f"test_{score}"],
            yerr=front[f"test_{score}_ci"],
            fmt="D",
            color="#000000",
            markersize=5,
            capsize=3,
            linewidth=1,
            label="finalist (test)",
        )
    axes.set_xscale("log")
    axes.set_ylim(*_range(trials, front, score, metric))
    if metric.share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.set_xlabel(SIZE_NAMES[size])
    axes.set_ylabel(metric.title)
    axes.set_title(f"{study.spec.study.name}: {metric.title} against size", loc="left")
    axes.grid(alpha=0.25, which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    figure.savefig(path, format="png")


def _complete(study: Study) -> pd.DataFrame:
    trials = study.trials
    return trials[trials["status"] == "complete"]


def _by_method(trials: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Each method with its rows and colour; the undistilled baseline is grey."""
    colours = iter(COLOURS * (1 + trials["method"].nunique() // len(COLOURS)))
    for method in sorted(trials["method"].unique()):
        colour = BASELINE_COLOUR if method == "none" else next(colours)
        yield method, trials[trials["method"] == method], colour


def _range(
    trials: pd.DataFrame, front: pd.DataFrame, score: str, metric: Metric
) -> tuple[float, float]:
    """An axis that shows the best nine tenths of the trials and every finalist's interval."""
    scored = trials[f"validation_{score}"]
    values = [end for what in ("test", "baseline") for end in _ends(front, f"{what}_{score}")]
    if metric.better == "lower":
        high = max([float(scored.quantile(0.9)), *values])
        return min(metric.lowest or 0.0, *values, 0.0), 1.05 * high
    least, most = metric.limits
    low = min([float(scored.quantile(0.1)), *values])
    margin = max(0.01, (most - low) * 0.08)
    return max(least, low - margin), most + margin * 0.5


def _ends(front: pd.DataFrame, name: str) -> list[float]:
    """The lower and upper ends of the finalists' intervals; the scores, where there are none."""
    if not len(front):
        return []
    scored = front[front[name].notna()]
    half = scored[f"{name}_ci"].fillna(0.0)
    return [*(scored[name] - half), *(scored[name] + half)]


def _hover(row: dict, split: str, metrics: Sequence[str]) -> str:
    """What a trial is, and its scores on a split where it has them."""
    values = ", ".join(f"{name} {value:.3g}" for name, value in row["hyperparameters"].items())
    depth = "" if pd.isna(row["depth"]) else f", depth {int(row['depth'])}"
    inputs = row.get("inputs")
    depth += "" if inputs is None or pd.isna(inputs) else f", of {inputs}"
    scores = [
        f"{find_metric(name).title} {find_metric(name).told(row[f'{split}_{name}'])}"
        for name in metrics
        if not pd.isna(row[f"{split}_{name}"])
    ]
    return (
        f"<b>trial {row['trial']}: {row['method']}</b> {values}<br>{row['family']}, width "
        f"{row['width']:.3g}{depth}<br>{row['parameters']:,} parameters, {row['macs']:,} MACs"
        + (f"<br>{split}: {', '.join(scores)}" if scores else "")
    )
