"""The live panel of a phase: its progress, what runs, and the front so far."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kdsearch.display.progress import Progress
from kdsearch.render.front import size_head
from kdsearch.results.front import pareto_front
from kdsearch.results.limits import told_size
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.training.programs import total_epochs

FRONT_ROWS = 12


def panel(
    progress: Progress, records: Sequence[TrialRecord], objectives: Objectives
) -> RenderableType:
    """What a terminal shows while a phase runs; no line of it is folded."""
    parts: list[RenderableType] = [
        Text(progress.line(), style="bold", no_wrap=True, overflow="ellipsis")
    ]
    for number, record in sorted(progress.running.items()):
        size = told_size(objectives.size, record.size(objectives.size))
        line = (
            f"  running {number}: {record.task.method.label}, {size}, "
            f"epoch {len(record.epochs)}/{total_epochs(record.task)}"
        )
        parts.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
    if progress.phase == "search":
        parts.append(_front(records, objectives))
    return Group(*parts)


def _front(records: Sequence[TrialRecord], objectives: Objectives) -> Group:
    table = Table(box=None)
    title, size = objectives.metric.title, objectives.size
    for head in (size_head(size), title):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("method", no_wrap=True, overflow="ellipsis")
    members = pareto_front(records, objectives)
    hidden = len(members) - FRONT_ROWS
    more = f", {hidden} smaller ones not shown" if hidden > 0 else ""
    for record in members[-FRONT_ROWS:]:
        shown = objectives.metric.told(objectives.value(record))
        table.add_row(f"{record.size(size):,.0f}", shown, record.task.method.label)
    # above the table and not its title, which is wrapped at the table's width
    return Group(Text(f"front so far (validation){more}", style="italic"), table)
