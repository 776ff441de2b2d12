"""What stands below the table of a front: how its figures came about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kdsearch.problems.described import Described
from kdsearch.render.columns import Layout
from kdsearch.render.front import LOSES_MORE, NEAR, Content, described, judged
from kdsearch.results.domains import adapts, alone
from kdsearch.spec.names import together


def front_notes(content: Content, shown: Layout) -> list[str]:
    """The notes of a table of the front, one for each thing that it holds."""
    notes = _of_tests(content, shown) if judged(content) else _of_the_search(content)
    return [*notes, *([shown.hint] if shown.hint else [])]


def _of_the_search(content: Content) -> Iterator[str]:
    metric = described(content)[content["objective"]]
    yield (
        f"validation {_with_units([metric])} of one training each; the finalists, which give test "
        "scores and gains, are not trained yet"
    )


def _of_tests(content: Content, shown: Layout) -> Iterator[str]:
    rows, heads = content["front"], shown.heads
    metrics, objective = described(content), content["objective"]
    listed = [
        metric
        for name, metric in metrics.items()
        if name == objective or (metric.shown != "never" and metric.head in heads)
    ]
    listed.sort(key=lambda metric: metric.name != objective)
    where = " on target" if adapts(content) else ""
    gain = (
        f"; gain in {metrics[objective].gain_unit}{where} over the same student "
        f"{_untaught(content)}, at its own best {_tuned(content)}"
        if "gain" in heads
        else ""
    )
    yield (
        f"{_tests(content, listed)}{gain}; mean ± 95 % interval (Student's t) over "
        f"{max(row['seeds'] for row in rows)} seeds unless n says otherwise; front chosen on "
        "validation"
    )
    if not all(row["member"] for row in rows):
        yield f"{NEAR} within noise of that front, on which it is not"
    if "of the teacher's" in heads:
        yield "of the teacher's: share of its test score that the student keeps"
    if any(head.startswith("int8") for head in heads):
        yield from _of_int8(content)
    if chained := [str(row["trial"]) for row in rows if row.get("start") == "chain"]:
        who = f"trials {together(chained)}" if len(chained) > 1 else f"trial {chained[0]}"
        yield (
            f"{who}: trained in a chain, each student cut from a trained wider one, which "
            "validates better than from scratch"
        )
    if "beaten by" in heads:
        yield "beaten by: a trial that is no larger and whose interval lies above"
    if "gain" in heads and any(row["trainings"] > 1 for row in rows):
        yield "n×: its training takes n times the compute of the baseline's"


def _tests(content: Content, listed: Sequence[Described]) -> str:
    """The scores on the test, of which a study with a target domain has two."""
    if not adapts(content):
        return f"test {_with_units(listed)}"
    first, others = listed[:1], listed[1:]
    more = f"; {_with_units(others)} on target" if others else ""
    return f"on target, on source: {_with_units(first)} on the tests of both domains{more}"


def _of_int8(content: Content) -> Iterator[str]:
    rows = content["front"]
    marked = ""
    if any(row["int8_loses_more"] for row in rows):
        marked = f";{LOSES_MORE} clearly loses more than it should, so ship it as float32"
    yield f"int8: quantized after training, run by onnxruntime on the test{marked}"
    off = [str(row["trial"]) for row in rows if row["int8_bytes"] and not row["int8_front"]]
    if off:
        yield f"in int8 another finalist is smaller and better than trial {together(off)}"
    for row in rows:
        if row["int8_reason"]:
            yield f"trial {row['trial']} has no int8: {row['int8_reason']}"


def _untaught(content: Content) -> str:
    """How a baseline is trained; of several methods the one that is best on validation."""
    labels = content.get("baselines", ())
    if len(labels) < 2:
        return alone(content)
    how = alone(content) if adapts(content) else "without a teacher"
    return f"{how}, by the better on validation of {together(labels)}"


def _tuned(content: Content) -> str:
    """What a baseline is tuned over."""
    if any(name.startswith("task.") for name in content["front"][0]):
        return "learning rate, weight decay and task weights"
    return "learning rate and weight decay"


def _with_units(metrics: Sequence[Described]) -> str:
    """What metrics are, and their units; shares first."""
    shares = ", ".join(metric.about for metric in metrics if metric.share)
    others = [
        f"{metric.about} in {metric.unit}" if metric.unit else metric.about
        for metric in metrics
        if not metric.share
    ]
    return ", ".join([*([f"{shares} in %"] if shares else []), *others])
