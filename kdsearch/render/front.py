"""The front of a study for a person, from the rows of ``front.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kdsearch.problems.described import Described
from kdsearch.render.columns import ALWAYS, Column, Layout, fitted, in_parts
from kdsearch.results.domains import adapts, source_score
from kdsearch.results.gains import undistilled
from kdsearch.results.naming import shown_way, student_told, way_values_told
from kdsearch.spec.teaching import TEACHER

NEAR = "*"
"""Stands after the number of a trial that is not on the front but within noise of it."""

ON_TARGET, ON_SOURCE = "on target", "on source"
"""Above the objective's scores on the tests of both domains, where there are two."""

LOSES_MORE = " !"
"""Stands after a score in 8 bits that is clearly worse than quantization should make it."""

Row = Mapping[str, Any]
Content = Mapping[str, Any]
"""What ``front.json`` holds, as :func:`~kdsearch.results.front_file.front_content` makes it."""


def described(content: Content) -> dict[str, Described]:
    """The metrics of a study's tables, by name."""
    return {name: Described.of(name, facts) for name, facts in content["metrics"].items()}


def judged(content: Content) -> bool:
    """Whether a finalist has a test score."""
    return any(row["seeds"] for row in content["front"])


def front_view(content: Content, width: int | None = None, wide: bool = False) -> Layout:
    """The front with test scores and gain, shares in percent and points; a row is one line.

    Before any finalist is trained it shows the validation scores of the search.

    Args:
        content: The front, with what its figures are.
        width: Letters of a line, into which the most telling columns are put; absent: no limit.
        wide: Whether the others stand in further tables below.
    """
    columns = list(_columns(content, content["front"]))
    of_teacher = _of_teacher(content)
    if of_teacher:
        cells = [of_teacher.get(column.head, "") for column in columns]
        columns = [
            replace(column, cells=[*column.cells, cell])
            for column, cell in zip(columns, cells, strict=True)
        ]
    return (in_parts if wide else fitted)(columns, width, f"front of {content['study']}")


def _columns(content: Content, rows: Sequence[Row]) -> Iterator[Column]:
    yield Column("trial", [f"{row['trial']}{'' if row['member'] else NEAR}" for row in rows])
    yield Column("method", [row["method"] for row in rows], 1, right=False, least=13)
    if {row["teacher"] for row in rows} - {None, TEACHER}:
        yield Column("taught by", [row["teacher"] or "" for row in rows], 5, right=False)
    yield Column("T", [_given(row["temperature"], ".3g") for row in rows], 9)
    yield Column("weights", [_weights(row) for row in rows], 10, right=False)
    rank = 4 if adapts(content) else 2  # gives way to the gain where there are two tests
    yield Column("student", [student_told(row) for row in rows], rank, right=False, least=17)
    yield Column("way", [shown_way(row) for row in rows], 1, right=False, least=8)
    yield Column("way's values", [way_values_told(row) for row in rows], 9, right=False)
    yield from _sizes(content, rows)
    metrics, objective = described(content), content["objective"]
    if judged(content):
        yield from _scores(content, rows)
    main = metrics[objective]
    shown = [_number(main, row[f"validation_{objective}"]) for row in rows]
    yield Column(f"validation {main.head}", shown, 8 if judged(content) else ALWAYS)


def _of_teacher(content: Content) -> dict[str, str]:
    """The cells of the teacher's row, by the heads of their columns; none before it is scored."""
    teacher = content.get("teacher")
    if not teacher or not teacher["test"] or not judged(content):
        return {}
    metrics, objective = described(content), content["objective"]
    cells = {"method": teacher["name"]}
    cells |= {size_head(name): f"{size:,.0f}" for name, size in teacher["sizes"].items()}
    for name, metric in metrics.items():
        head = head_on_test(metric, content) if name == objective else metric.head
        cells[head] = _number(metric, teacher["test"].get(name))
    if adapts(content):
        source = teacher["test"].get(source_score(content))
        cells[ON_SOURCE] = _number(metrics[objective], source)
    validation = teacher["validation"].get(objective)
    return cells | {
        f"validation {metrics[objective].head}": _number(metrics[objective], validation)
    }


def head_on_test(metric: Described, content: Content) -> str:
    """What stands above the objective's test scores."""
    return ON_TARGET if adapts(content) else f"test {metric.head}"


def _sizes(content: Content, rows: Sequence[Row]) -> Iterator[Column]:
    """The sizes that were searched for, the first of them always, then the usual ones."""
    names = dict.fromkeys((*content["sizes"], "parameters", "macs", "latency"))
    known = [name for name in names if any(row.get(name) is not None for row in rows)]
    for place, name in enumerate(known):
        rank = ALWAYS if place == 0 else 5 if name in content["sizes"] else 7
        yield Column(size_head(name), [_given(row[name], ",.0f") for row in rows], rank)


def _scores(content: Content, rows: Sequence[Row]) -> Iterator[Column]:
    """Test scores, what is kept of the teacher's, and the gain."""
    metrics, objective = described(content), content["objective"]
    usual = max(row["seeds"] for row in rows)
    ranks = {name: _rank(metric, objective) for name, metric in metrics.items()}
    known = [name for name, rank in ranks.items() if rank is not None and _is_known(rows, name)]
    for name in sorted(known, key=lambda name: (ranks[name] or 0, known.index(name))):
        metric = metrics[name]
        head = head_on_test(metric, content) if name == objective else metric.head
        cells = [_interval(row, f"test_{name}", metric, "seeds", usual) for row in rows]
        yield Column(head, cells, ranks[name] or 0)
        if name == objective and adapts(content):
            column = f"test_{source_score(content)}"
            cells = [_interval(row, column, metric, "seeds", usual) for row in rows]
            yield Column(ON_SOURCE, cells)
    kept = [_given(row.get("retained"), ".1%") for row in rows]
    yield Column("of the teacher's", kept, 4)
    yield Column("gain", [_gain(row, metrics[objective], usual) for row in rows], 3)
    yield from _in_int8(metrics[objective], rows, usual)
    beaten = [_given(row["beaten_by"], ".0f") for row in rows]
    yield Column("beaten by", beaten, 4)


def _in_int8(metric: Described, rows: Sequence[Row], usual: int) -> Iterator[Column]:
    """What quantization makes of the finalists; one that loses more than it should is marked."""
    if all(row.get(f"int8_{metric.name}") is None for row in rows):
        return
    scores = [_interval(row, f"int8_{metric.name}", metric, "seeds", usual) for row in rows]
    marked = [LOSES_MORE if row["int8_loses_more"] else "" for row in rows]
    cells = [f"{score}{mark}" for score, mark in zip(scores, marked, strict=True)]
    yield Column(f"int8 {metric.head}", cells, 6)
    yield Column("int8 bytes", [_given(row["int8_bytes"], ",.0f") for row in rows], 8)


def _rank(metric: Described, objective: str) -> int | None:
    """How soon a score is left out; ``None``: no table has it."""
    if metric.name == objective:
        return ALWAYS
    return {"always": 6, "wide": 8}.get(metric.shown)


def _is_known(rows: Sequence[Row], name: str) -> bool:
    return any(row.get(f"test_{name}") is not None for row in rows)


def _gain(row: Row, metric: Described, usual: int) -> str:
    if undistilled(row):
        return "baseline"
    return _interval(row, "gain", metric, "gain_seeds", usual)


def _interval(row: Row, name: str, metric: Described, counted: str, usual: int) -> str:
    """Mean ± interval in percent, points or the metric's unit; how many seeds if not as usual."""
    mean, half_width, count = row.get(name), row.get(f"{name}_ci"), int(row[counted])
    if count == 0:
        return "not yet"
    if mean is None:
        return ""
    spread = "" if half_width is None else f" ± {_number(metric, half_width)}"
    fewer = "" if count == usual else f" (n={count})"
    gain = name == "gain"
    more = f" at {row['trainings']:g}×" if gain and row["trainings"] > 1 else ""
    return f"{_number(metric, mean, '+' if gain else '')}{spread}{fewer}{more}"


def _number(metric: Described, value: float | None, sign: str = "") -> str:
    form = ".2f" if metric.share else ".3f"
    return "" if value is None else f"{metric.scale * value:{sign}{form}}"


def _given(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def size_head(name: str) -> str:
    """A size above a column."""
    told = {"macs": "MACs", "latency": "latency (µs)", "int8_latency": "int8 latency (µs)"}
    return told.get(name, name.replace("_", " "))


def _weights(row: Row) -> str:
    return ", ".join(
        f"{row['method'] if name == 'weight' else name.removesuffix('.weight')} {value:.3g}"
        for name, value in row["weights"].items()
    )
