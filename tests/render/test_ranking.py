"""The methods of a study by what they reach at one budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdsearch.render.ranking import ranking_notes, ranking_view, too_few_note
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.front_file import metric_facts, rows
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import MIN_TRIALS, method_ranking
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import MethodConfig, parse_spec
from kdsearch.spec.teaching import TEACHER
from tests.conftest import TEXT
from tests.records import trial
from tests.render.reading import block, shown


def ranked(label: str, pairs: list[tuple[float, int]]) -> list[TrialRecord]:
    method = MethodConfig(label=label)
    taught = None if label in ("none", "pseudo_label") else "teacher"
    update = {"method": method, "teacher": taught}
    made = [trial(number, *pair) for number, pair in enumerate(pairs)]
    return [
        record.model_copy(update={"task": record.task.model_copy(update=update)}) for record in made
    ]


def summary_of(records: list[TrialRecord], objectives: Objectives) -> dict[str, Any]:
    """What ranking.json holds of a study of these trials."""
    return {
        "study": "x",
        "objective": objectives.score,
        "least_trials": MIN_TRIALS,
        "metrics": {objectives.score: metric_facts(objectives.score)},
        "ranking": rows(method_ranking(records, objectives, 100, 0)),
    }


FEW = ranked("kd", [(0.5, 20), (0.5, 30)])


def ranking() -> dict[str, Any]:
    records = [
        *ranked("none", [(0.5, 20), (0.6, 30), (0.55, 25)]),
        *ranked("dist+reviewkd", [(0.94, 11), (0.95, 12), (0.95, 12), (0.96, 13)]),
        *FEW,
    ]
    return summary_of(records, Objectives())


def table(summary: dict[str, Any], width: int) -> str:
    (only,) = ranking_view(summary, width).tables
    return shown(only, width)


def notes(summary: dict[str, Any], width: int | None = None) -> str:
    return "\n".join(ranking_notes(summary, ranking_view(summary, width)))


def test_the_ranking_shows_scores_intervals_and_what_is_clear() -> None:
    summary = ranking()
    text = table(summary, 100)
    first = summary["ranking"][0]
    line = block(text, "dist+reviewkd")
    for told in (
        f"{100 * first['hypervolume']:.2f} [{100 * first['hypervolume_low']:.2f}, ",
        f"{100 * first['best_score']:.1f} [",
        f"+{100 * first['gain']:.2f} [+{100 * first['gain_low']:.2f}, ",
    ):
        assert told in line
    assert line.endswith("yes")
    assert "baseline" in block(text, "none")
    assert "what 3 complete trials of a method reach" in notes(summary)
    assert "not over training seeds" in notes(summary)


def test_a_narrow_ranking_keeps_its_rows_whole_and_says_what_has_no_room() -> None:
    summary = ranking()
    for width in range(45, 121):
        assert len(table(summary, width).splitlines()) == 4  # the title, the heads, two methods
    text = table(summary, 80)
    assert text.splitlines()[1].split() == ["method", "trials", "best", "accuracy", "gain", "clear"]
    assert notes(summary, 80).endswith("--wide also shows hypervolume")
    wide = ranking_view(summary, 80, wide=True)
    assert len(wide.tables) == 2
    assert "hypervolume" in shown(wide.tables[1], 80)


def test_methods_with_too_few_trials_take_a_line() -> None:
    assert "\nkd " not in table(ranking(), 100)
    few = "not ranked, with fewer than 3 complete trials: kd 2"
    assert few in notes(ranking())
    assert too_few_note(summary_of(FEW, Objectives())) == (
        "nothing to rank yet: every method has fewer than 3 complete trials (kd 2)"
    )


def test_the_ranking_by_likelihood_is_in_nats() -> None:
    records = [
        record.model_copy(update={"epochs": ({"accuracy": 0.5, "nll": 1.5},)})
        for record in ranked("kd", [(0.5, size) for size in (10, 20, 30)])
    ]
    summary = summary_of(records, Objectives(score="nll"))
    text = table(summary, 100)
    assert "best NLL" in text
    assert "1.500 [1.500, 1.500]" in block(text, "kd")
    assert "square of NLL × relative log size" in notes(summary)
    assert "best NLL in nats" in notes(summary)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with trials of two methods and nothing else."""
    spec = parse_spec(TEXT.format(directory=tmp_path))
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    size = {"parameters": 100, "macs": 200, "bytes": 400}
    directory.update(state="running", teachers={TEACHER: {"size": size}})
    pairs = [(0.5, 20), (0.6, 30), (0.55, 25), (0.94, 11), (0.95, 12), (0.95, 12)]
    records = [*ranked("none", pairs[:3]), *ranked("kd", pairs[3:])]
    for number, record in enumerate(records):
        directory.trials.append(record.model_copy(update={"number": number}))
    return directory.path


def test_the_command_ranks_a_study(kdsearch: Callable[..., str], study: Path) -> None:
    text = kdsearch("ranking", str(study))
    assert text.startswith("methods of tiny at one budget")
    assert block(text, "kd").split()[-1] == "yes"
    found = json.loads(kdsearch("ranking", str(study), "--json"))
    assert [row["method"] for row in found] == ["kd", "none"]
    opened = Study.open(study)
    expected = method_ranking(opened.records(), Objectives(), 100, opened.spec.study.seed)
    assert found[0]["gain_low"] == expected["gain_low"][0]
    assert found[1]["gain"] is None


def test_a_study_without_trials_has_nothing_to_rank(
    kdsearch: Callable[..., str], study: Path
) -> None:
    (study / "trials.jsonl").unlink()
    assert "nothing to rank" in kdsearch("ranking", str(study))
    assert json.loads(kdsearch("ranking", str(study), "--json")) == []
