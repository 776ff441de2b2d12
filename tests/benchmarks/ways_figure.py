"""The figure of ways: accuracy against bytes, each way alone and distilled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from ways_training import DISTILLED

from kdsearch.methods import UNDISTILLED

STYLES = {UNDISTILLED: "--", DISTILLED: "-"}


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Write the figure: dashed lines are of students alone, solid ones of distilled students."""
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    cases = [case for case in dict.fromkeys(row["case"] for row in rows) if "mlp" not in case]
    colours = plt.get_cmap("tab20").colors
    for place, case in enumerate(cases):
        own = sorted((row for row in rows if row["case"] == case), key=lambda row: row["bytes"])
        for method, style in STYLES.items():
            shown = [row for row in own if method in row]
            axes.errorbar(
                [row["bytes"] for row in shown],
                [100 * row[method] for row in shown],
                [100 * row[f"{method}_ci"] for row in shown],
                color=colours[place % len(colours)],
                linestyle=style,
                marker="o",
                markersize=3,
                linewidth=1.2,
                elinewidth=0.6,
                label=case if method == DISTILLED else None,
            )
    axes.set(xscale="log", xlabel="bytes of the stored weights", ylabel="test accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title=f"solid: with {DISTILLED}"
    )
    figure.savefig(file, dpi=150)
