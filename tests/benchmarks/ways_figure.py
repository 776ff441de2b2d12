"""The figure of ways: accuracy against bytes, each way alone and distilled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from ways_training import DISTILLED

from kdsearch.methods import UNDISTILLED

PANELS = {UNDISTILLED: "alone", DISTILLED: f"with {DISTILLED}"}


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Write the figure: a panel of students alone, and one of distilled students."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
    shown = [row for row in rows if "mlp" not in row["case"]]
    colours = plt.get_cmap("tab20").colors
    for axes, (method, title) in zip(panels, PANELS.items(), strict=True):
        for place, case in enumerate(dict.fromkeys(row["case"] for row in shown)):
            own = [row for row in shown if row["case"] == case and method in row]
            own.sort(key=lambda row: row["bytes"])
            axes.errorbar(
                [row["bytes"] for row in own],
                [100 * row[method] for row in own],
                [100 * row[f"{method}_ci"] for row in own],
                color=colours[place % len(colours)],
                marker="o",
                markersize=4,
                elinewidth=0.5,
                label=case,
            )
        axes.set(xscale="log", xlabel="bytes", title=title)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size / 1000:g} kB"))
        axes.grid(alpha=0.3)
    least = min(row[method] for row in shown for method in PANELS if method in row)
    panels[0].set(ylabel="test accuracy, %", ylim=(100 * least - 2, None))
    panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(file, dpi=110)
