"""Static figures of a study: the front in its folder, and a set for papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kdsearch.files import taking_name_last
from kdsearch.report.drawing import draw_front, draw_methods, draw_progress
from kdsearch.report.progress import progress
from kdsearch.results.study import Study

FRONT, SMALL = "front.png", "front_small.png"
"""The front's name in the study's folder."""

PAPER = "figures"
"""The folder of the figures for papers, in the study's."""

FORMATS = ("pdf", "png")
FONTS = {"pdf.fonttype": 42, "font.size": 8}
"""Letters of a PDF as TrueType, which publishers ask for, and as small as a caption's."""


def write_front(study: Study) -> Path:
    """Write the front into the study's folder: ``front.png``, 1,200 × 720 dots, and a smaller one.

    ``front_small.png``, 768 × 461 dots, is for pages that show every figure as it is.
    """
    path = study.directory.path / FRONT
    figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    draw_front(axes, study)
    metric = study.objectives.metric
    axes.set_title(f"{study.spec.study.name}: {metric.title} against size", loc="left")
    _legend(axes, "center left", (1.0, 0.5))
    for name, dots in ((FRONT, 150), (SMALL, 96)):
        with taking_name_last(path.with_name(name)) as partial_file:
            figure.savefig(partial_file, format="png", dpi=dots)
    return path


def write_paper_figures(study: Study, folder: Path) -> list[Path]:
    """Write each figure as PDF and PNG into ``figures/`` of a folder.

    They are as wide as a page's text (6.5 inches) or a column (3.3 inches), with text of 8 points
    and without a title, which is the caption's.

    Returns:
        The files. What the study has not come to yet is left out.
    """
    if not study.members():
        return []
    rows = progress(study.directory.trials.lines(), study.objectives, study.largest)
    figures: dict[str, tuple[tuple[float, float], Callable[[Axes], None]]] = {
        "front": (PAGE_WIDE, partial(draw_front, study=study)),
        "hypervolume": (COLUMN_WIDE, partial(draw_progress, rows=rows)),
    }
    if study.ranking["best_score"].notna().any():
        figures["methods"] = (COLUMN_WIDE, partial(draw_methods, study=study))
    return [
        path
        for name, (inches, draw) in figures.items()
        for path in _written(folder / PAPER, name, inches, draw)
    ]


PAGE_WIDE, COLUMN_WIDE = (6.5, 3.6), (3.3, 2.4)
"""Width and height in inches."""


def _written(
    folder: Path, name: str, inches: tuple[float, float], draw: Callable[[Axes], None]
) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with rc_context(FONTS):
        figure = Figure(figsize=inches, dpi=300, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        if name == "front":
            _legend(axes, "center left", (1.0, 0.5))
        paths = [folder / f"{name}.{form}" for form in FORMATS]
        for path, form in zip(paths, FORMATS, strict=True):
            with taking_name_last(path) as partial_file:
                figure.savefig(partial_file, format=form)
    return paths


def _legend(axes: Axes, place: str, anchor: tuple[float, float]) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, bbox_to_anchor=anchor, frameon=False, fontsize=8)
