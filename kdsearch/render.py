"""Tables for a person: the front, sample trials, methods, models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table

from kdsearch.methods import METHODS, UNDISTILLED, Method
from kdsearch.models import FAMILIES
from kdsearch.search.record import TrialRecord
from kdsearch.search.tables import describe_trial
from kdsearch.spec.ranges import Choices, Range


def front_view(front: pd.DataFrame, title: str) -> Table:
    """The front with test accuracy and gain, in percent and points."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("trial", "method", "T", "weights", "student", "parameters", "MACs"):
        right = name in ("trial", "T", "parameters", "MACs")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("test accuracy", justify="right", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    seeds = front["seeds"].max()
    for row in front.to_dict("records"):
        temperature = row["temperature"]
        table.add_row(
            str(row["trial"]),
            row["method"],
            "" if pd.isna(temperature) else f"{temperature:.3g}",
            ", ".join(
                f"{row['method'] if name == 'weight' else name.removesuffix('.weight')} {value:.3g}"
                for name, value in row["weights"].items()
            ),
            _student(row["family"], row["width"], row["depth"]),
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            _interval(row, "test_accuracy", "seeds", seeds),
            "baseline"
            if row["method"] == UNDISTILLED
            else _interval(row, "gain", "gain_seeds", seeds),
        )
    return table


def front_note(front: pd.DataFrame) -> str:
    """How the figures of :func:`front_view` came about."""
    seeds = int(front["seeds"].max()) if len(front) else 0
    return (
        f"test accuracy in %; gain in points over the same student undistilled, at its own best "
        f"learning rate; mean ± 95 % interval (Student's t) over {seeds} seeds unless n says "
        f"otherwise; front chosen on validation"
    )


def samples_view(records: Sequence[TrialRecord]) -> Table:
    """Sample trials with their sizes."""
    table = Table(title="sample trials", title_justify="left", box=None, header_style="bold")
    for name in ("method", "values", "student", "lr", "parameters", "MACs", "bytes"):
        right = name in ("lr", "parameters", "MACs", "bytes")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for record in records:
        row = describe_trial(record)
        table.add_row(
            row["method"],
            ", ".join(f"{name} {value:.3g}" for name, value in row["hyperparameters"].items()),
            _student(row["family"], row["width"], row["depth"]),
            f"{row['lr']:.3g}",
            *(f"{row[name]:,}" for name in ("parameters", "macs", "bytes")),
        )
    return table


def methods_view() -> Table:
    """Every method with its signals, published defaults and search ranges."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("method", "kind", "reads", "hyperparameters (published; searched)", "paper"):
        table.add_column(name, overflow="fold")
    table.add_row(UNDISTILLED, "", "", "", "the undistilled baseline, part of every study")
    for name, method in METHODS.items():
        reads = ", ".join(sorted(method.signals))
        table.add_row(name, method.kind, reads, "\n".join(_values(method)), method.paper)
    return table


def method_view(method: type[Method]) -> str:
    """One method in full."""
    lines = [f"{method.name} ({method.kind})", f"  paper   {method.paper}"]
    lines.append(f"  reads   {', '.join(sorted(method.signals))} of student and teacher")
    lines.append(f"  cross-entropy weight {method.ce_weight:g}")
    for name, declared in method.hyperparameters.items():
        lines.append(
            f"  {name:<12} {declared.default:<8.4g} {_range(declared.search):<24} {declared.about}"
        )
    return "\n".join(lines)


def models_view() -> Table:
    """Every family with its knobs."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("family", "what it is", "width", "depth"):
        table.add_column(name, overflow="fold")
    for family in FAMILIES.values():
        table.add_row(family.name, family.about, family.width, family.depth)
    table.add_row(
        "torchvision/NAME",
        "any classification model of torchvision, such as torchvision/resnet18",
        "all channel counts, where the model allows",
        "none: it is part of the name",
    )
    table.add_row(
        "module:function",
        "your own, called with image_shape, classes, width and depth",
        "as you define it",
        "as you define it",
    )
    return table


def _values(method: type[Method]) -> list[str]:
    return [
        f"{name} {declared.default:.4g}; {_range(declared.search)}"
        for name, declared in method.hyperparameters.items()
    ]


def _range(search: Range | Choices | None) -> str:
    if search is None:
        return "fixed"
    if isinstance(search, Choices):
        return "one of " + ", ".join(str(value) for value in search.choices)
    return f"{search.low:g} to {search.high:g}" + (", log" if search.log else "")


def _student(family: str, width: float, depth: float | None) -> str:
    return f"{family}{'' if depth is None or pd.isna(depth) else f'-{int(depth)}'} ×{width:.3g}"


def _interval(row: dict[Any, Any], name: str, counted: str, usual: int) -> str:
    """Mean ± interval in percent or points; the number of seeds where it is not the usual one."""
    mean, half_width, count = row[name], row[f"{name}_ci"], int(row[counted])
    if count == 0:
        return "not yet"
    sign = "+" if name == "gain" else ""
    spread = "" if pd.isna(half_width) else f" ± {100 * half_width:.2f}"
    fewer = "" if count == usual else f" (n={count})"
    return f"{100 * mean:{sign}.2f}{spread}{fewer}"
