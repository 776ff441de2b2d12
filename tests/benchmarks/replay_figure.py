"""Hypervolume against compute, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure

from kdsearch.report.colours import COLOURS


def write_figure(path: Path, compute: np.ndarray, volumes: Mapping[str, np.ndarray]) -> None:
    """Draw each search's mean with a band of 95 % of the mean.

    Args:
        path: The figure's file.
        compute: [N] whole trainings.
        volumes: By search, [seeds, N] hypervolumes.
    """
    figure = Figure(figsize=(9, 6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for (name, found), colour in zip(volumes.items(), COLOURS, strict=False):
        mean = found.mean(axis=0)
        half = 1.96 * found.std(axis=0, ddof=1) / len(found) ** 0.5
        ours = name.startswith("kdsearch")
        axes.plot(compute, mean, label=name, color=colour, linewidth=2.2 if ours else 1.2)
        axes.fill_between(compute, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    last = max(found[:, -1].mean() for found in volumes.values())
    axes.set_ylim(0.6 * last, 1.02 * last)
    axes.set_xlabel("compute, in whole trainings")
    axes.set_ylabel("hypervolume of the validation front")
    axes.set_title("Hypervolume against compute", loc="left")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path)
