"""The text of a study's page in MLflow: the answer first, then how it came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdsearch.errors import RunError
from kdsearch.render.pick import gain_told, pick_line
from kdsearch.results.domains import adapts, itself, source_score, worth
from kdsearch.results.front_file import front_content
from kdsearch.results.gains import compared_with, undistilled
from kdsearch.results.limits import RETAINED, told, told_size
from kdsearch.results.naming import network_told, small_student_told
from kdsearch.results.pick import pick
from kdsearch.results.size_classes import size_classes
from kdsearch.results.spent import spent_told
from kdsearch.results.study import Study
from kdsearch.spec.domains import SOURCE

NOTE = "mlflow.note.content"
"""Tag that MLflow's UI shows as the description of a run."""

FIGURE = "front_small.png"
"""Artifact that shows the front: the page cuts what is wider than its text."""

GAP = "&emsp;"
"""Space after a cell of a table."""

LONGEST = 7_500
"""Letters of a note; MLflow cuts a tag at 8000."""


@dataclass(frozen=True)
class Places:
    """Where in MLflow's UI the parts of a study are.

    Attributes:
        experiment: Id of the experiment.
        parent: Id of the study's run.
        trials: Id of each trial's run, by the trial's number.
        views: Saved views: what each shows, and its address.
    """

    experiment: str
    parent: str
    trials: Mapping[int, str] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)

    def trial(self, number: int) -> str:
        """A link to the run of a trial."""
        run = self.trials.get(number)
        name = f"trial {number}"
        return name if run is None else f"[{name}](#/experiments/{self.experiment}/runs/{run})"

    def linked(self, text: str, number: int) -> str:
        """A text in which the trial's name becomes a link."""
        return text.replace(f"trial {number}", self.trial(number), 1)


def running_note(study: Study) -> str:
    """The page of a study that runs."""
    return _text([f"**Running**: {_question(study)}", *_setting(study)])


def stopped_note(study: Study, reason: str, places: Places) -> str:
    """The page of a study that ended early."""
    parts = [f"**Stopped early** ({_cell(reason)}): {_question(study)}", *_setting(study)]
    return _text([*parts, *_views(places)])


def final_note(study: Study, places: Places) -> str:
    """The page of a study that has ended."""
    content = front_content(study)
    try:
        found = pick(content)
    except RunError as error:
        first, answer = f"**No answer**: {error}.", []
    else:
        verdict = pick_line(content, found).replace("ship ", "Ship ", 1)
        number = found.row["trial"]
        gain = f"{worth(content).capitalize()}: {_gain(content, found.row)}"
        first = f"**{places.linked(verdict, number)}.** {gain}."
        answer = list(_classes(content, places))
    figure = f"![The front](get-artifact?path={FIGURE}&run_uuid={places.parent})"
    return _text(
        [
            first,
            f"*{_question(study)}*",
            *_views(places),
            figure,
            "### The front, by the test",
            _front(content, places),
            *answer,
            "### What is not sure",
            "\n".join(f"- {each}" for each in _doubts(study, content, places)),
            *_setting(study),
        ]
    )


def _question(study: Study) -> str:
    sizes = " and ".join(study.objectives.sizes)
    return (
        f"Which student for {study.spec.told_data} should be shipped: "
        f"{study.objectives.metric.title} against {sizes}?"
    )


def _setting(study: Study) -> Iterator[str]:
    """Data, teacher, budget and cost."""
    yield "### Data, teacher, budget"
    lines = _data(study), _teacher(study), _budget(study), _cost(study)
    yield "\n".join(f"- {each}" for each in lines if each)


def _data(study: Study) -> str:
    data = study.directory.inputs().data
    inputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in data.inputs.items())
    return (
        f"**Data**: {data.name}, {data.train:,} samples for training and {data.validation:,} for "
        f"validation ({inputs}), fingerprint `{data.fingerprint[:12]}`"
    )


def _teacher(study: Study) -> str:
    teacher, score = study.teacher, study.objectives.score
    if teacher is None:
        return "**Teacher**: not there yet"
    sizes = ", ".join(told_size(name, teacher.sizes[name]) for name in study.objectives.sizes)
    test = teacher.test.get(score)
    scored = "" if test is None else f", {study.objectives.metric.told(test)} on the test"
    if (source := teacher.test.get(SOURCE + score)) is not None:
        scored = f"{scored} of the target, {study.objectives.metric.told(source)} of the source"
    given, names = study.spec.given_teachers, study.spec.teachers_behind(teacher.name)
    models = [given[name].model for name in names]
    networks = " and ".join(network_told(each.family, each.width, each.depth) for each in models)
    return f"**Teacher**: {networks}, {sizes}{scored}"


def _budget(study: Study) -> str:
    spec = study.spec
    how = "without adaptation" if spec.target else "undistilled"
    statuses = Counter(record.status for record in study.records())
    ended = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return (
        f"**Budget**: {spec.search.trials} trials of {spec.training.epochs} epochs over "
        f"{', '.join(spec.methods)}" + (f" ({ended})" if ended else "") + f"; finalists with "
        f"{spec.finalists.seeds} seeds, beside the same student {how}, tuned as well"
    )


def _cost(study: Study) -> str:
    """Time of training by part, over all workers; empty before anything was trained."""
    told = spent_told(study)
    return told and f"**Cost**: {told}"


def _front(content: Mapping[str, Any], places: Places) -> str:
    """The front as a table, small to large."""
    name, size = content["objective"], content["sizes"][0]
    metric = content["metrics"][name]["head"]
    tests = [f"test_{name}", *([f"test_{source_score(content)}"] if adapts(content) else [])]
    heads = ["trial", "method", "student", size]
    heads += [f"{metric} on target", "on source"] if adapts(content) else [metric]
    heads += ["of the teacher's", f"{worth(content)} is worth"]
    rows = [heads, ["---", "---", "---", "---:", *("---:" for _ in tests), "---:", "---"]]
    for row in content["front"]:
        kept = row.get(RETAINED)
        cells = [places.trial(row["trial"]), row["method"], small_student_told(row)]
        cells.append(told_size(size, row[size]).removesuffix(f" {size}"))
        cells += [_scored(content, row, test) for test in tests]
        cells += ["not known" if kept is None else f"{kept:.1%}", _gain(content, row)]
        rows.append([_cell(each) for each in cells])
    # MLflow's tables have no space between columns
    spaced = [rows[0], *rows[2:]]
    for row in spaced:
        row[:-1] = [f"{each}{GAP}" for each in row[:-1]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _scored(content: Mapping[str, Any], row: Mapping[str, Any], test: str) -> str:
    """A mean score of a finalist with its interval."""
    score, half, name = row[test], row[f"{test}_ci"], content["objective"]
    spread = "" if half is None else f" ± {told(content, name, half)}"
    return "not known" if score is None else f"{told(content, name, score)}{spread}"


def _classes(content: Mapping[str, Any], places: Places) -> Iterator[str]:
    yield "### What to ship, by size"
    lines, before = [], None
    for each in size_classes(content):
        bound, found = told_size(each.size, each.bound), each.pick
        number = found.row["trial"]
        if number == before:
            sentence = f"{places.trial(number)} again: more size wins nothing"
        else:
            sentence = places.linked(pick_line(content, found).removeprefix("ship "), number)
        lines.append(f"- **up to {bound}**: {sentence}")
        before = number
    yield "\n".join(lines)


def _gain(content: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """What distillation, or adaptation, is worth at a finalist, in fewer words than on its page."""
    if undistilled(row):
        return f"none, the student is {itself(content)}"
    over = compared_with(row, content)
    text = gain_told(content, row).replace(f" over {over}, tuned as well", "")
    return text.partition(" (")[0]


def _doubts(study: Study, content: Mapping[str, Any], places: Places) -> Iterator[str]:
    """What a reader should not take for sure."""
    rows: Sequence[Mapping[str, Any]] = content["front"]
    unsure = [
        row["trial"]
        for row in rows
        if row["gain"] is not None
        and (row["gain_ci"] is None or abs(row["gain"]) <= row["gain_ci"])
    ]
    if unsure:
        yield (
            f"whether {worth(content)} helps at {_list(places, unsure)}: the 95 % interval of the "
            "gain holds 0"
        )
    if beaten := [row["trial"] for row in rows if row["beaten_by"] is not None]:
        yield f"{_list(places, beaten)}: on the test, another one is clearly better and no larger"
    if near := [row["trial"] for row in rows if not row["member"]]:
        yield f"{_list(places, near)}: within noise of the front on validation, not on it"
    yield (
        f"all intervals are 95 % intervals of means over {study.spec.finalists.seeds} seeds "
        "(Student's t); the test's own samples are not in them"
    )
    failed = sum(record.status == "failed" for record in study.records())
    if failed:
        yield f"{failed} of the trials failed; each has its reason as a tag"


def _list(places: Places, numbers: Sequence[int]) -> str:
    return ", ".join(places.trial(number) for number in numbers)


def _views(places: Places) -> Iterator[str]:
    if places.views:
        yield "Open: " + " · ".join(f"[{name}]({to})" for name, to in places.views.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _text(parts: Sequence[str]) -> str:
    """Parts as paragraphs; what is too long for MLflow is left out from the end."""
    text = "\n\n".join(filter(None, parts))
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rpartition("\n")[0] + "\n\n… the rest is in report.html"
