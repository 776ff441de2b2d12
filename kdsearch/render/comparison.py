"""Several studies side by side, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kdsearch.problems.described import Described
from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.results.limits import told_size

CLEAR = "*"
"""Stands after the name of the study that is better where the intervals do not overlap."""

Content = Mapping[str, Any]
"""What :func:`~kdsearch.report.comparison.compare` tells."""


def studies_view(content: Content, width: int | None) -> Layout:
    """What each study reaches, by one reference."""
    studies = content["studies"]

    def shares(name: str) -> list[str]:
        return ["" if each[name] is None else f"{100 * each[name]:.2f}" for each in studies]

    return fitted(
        [
            Column("study", [each["study"] for each in studies], right=False),
            Column("trials", [str(each["trials"]) for each in studies], 3),
            Column("epochs", [f"{each['epochs']:,}" for each in studies], 3),
            Column("finalists", [str(each["finalists"]) for each in studies], 2),
            Column("hypervolume", shares("hypervolume"), 1),
            Column("on the test", shares("test_hypervolume")),
        ],
        width,
    )


def sizes_view(content: Content, width: int | None) -> Layout:
    """The best student of each study in each size class, and which of them is better."""
    metric = Described.of(content["objective"], content["metric"])
    names = [each["study"] for each in content["studies"]]
    classes, size = content["sizes"], content["size"]
    better = [
        "" if each["better"] is None else f"{each['better']}{CLEAR if each['clear'] else ''}"
        for each in classes
    ]
    return fitted(
        [
            Column("up to", [told_size(size, each["most"]) for each in classes]),
            *(
                Column(name, [_student(metric, each["students"][name]) for each in classes])
                for name in names
            ),
            Column("better", better, right=False),
        ],
        width,
    )


def comparison_notes(content: Content) -> Iterator[str]:
    """Who beats whom, and how the figures came about."""
    metric = Described.of(content["objective"], content["metric"])
    counts = {each["study"]: each["finalists"] for each in content["studies"]}
    for name, others in content["beaten"].items():
        for other, beaten in others.items():
            if counts[other]:
                yield (
                    f"{beaten} of {counts[other]} finalists of {other} are beaten on the test by a "
                    f"student of {name} that is no larger{_whole(content, name, other)}"
                )
    unit = f" in {metric.unit}" if metric.unit else ""
    largest = told_size(content["size"], content["reference"]["size"])
    yield (
        f"{metric.title} on the test{unit}, mean ± 95 % interval over seeds, of the finalist with "
        f"the best mean validation score up to that size; {CLEAR} the intervals do not overlap; "
        f"hypervolume in %: of the validation front, and of the finalists on the test, by the "
        f"same reference ({largest}, {metric.loss_title} of {content['reference']['loss']:g})"
    )


def _whole(content: Content, name: str, other: str) -> str:
    """Whether one study is better everywhere."""
    counts = {each["study"]: each["finalists"] for each in content["studies"]}
    beaten = content["beaten"]
    if beaten[name][other] == counts[other] and not beaten[other][name]:
        return f": {name} dominates"
    return ""


def _student(metric: Described, student: Mapping[str, Any] | None) -> str:
    if student is None:
        return "none"
    scale, form = metric.scale, ".2f" if metric.share else ".3f"
    half = student["test_ci"]
    interval = "" if half is None else f" ± {scale * half:{form}}"
    return f"{scale * student['test']:{form}}{interval} ({student['method']})"
