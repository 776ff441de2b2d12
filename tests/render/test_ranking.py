"""The methods of a study by what they reach at one budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from kdsearch.render.study import ranking_note, ranking_view
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.objectives import Objectives
from kdsearch.results.ranking import method_ranking
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.spec import MethodConfig, parse_spec
from kdsearch.spec.teaching import TEACHER
from tests.conftest import TEXT
from tests.records import trial
from tests.render.reading import block, shown


def ranked(label: str, pairs: list[tuple[float, int]]) -> list[TrialRecord]:
    method = MethodConfig(label=label)
    made = [trial(number, *pair) for number, pair in enumerate(pairs)]
    return [
        record.model_copy(update={"task": record.task.model_copy(update={"method": method})})
        for record in made
    ]


def ranking() -> pd.DataFrame:
    records = [
        *ranked("none", [(0.5, 20), (0.6, 30), (0.55, 25)]),
        *ranked("dist+reviewkd", [(0.94, 11), (0.95, 12), (0.95, 12), (0.96, 13)]),
        *ranked("kd", [(0.5, 20), (0.5, 30)]),
    ]
    return method_ranking(records, Objectives(), 100, 0)


def test_the_ranking_shows_scores_intervals_and_what_is_clear() -> None:
    table = ranking()
    text = shown(ranking_view(table, "methods of x"))
    first = table.iloc[0]
    line = block(text, "dist+reviewkd")
    for told in (
        f"{100 * first['hypervolume']:.2f} [{100 * first['hypervolume_low']:.2f}, ",
        f"{100 * first['best_score']:.1f} [",
        f"+{100 * first['gain']:.2f} [+{100 * first['gain_low']:.2f}, ",
    ):
        assert told in line
    assert line.endswith("yes")
    assert "baseline" in block(text, "none")
    assert block(text, "kd").split() == ["kd", "2", "too", "few", "trials"]
    assert "what 3 complete trials of a method reach" in ranking_note(table)
    assert "not over training seeds" in ranking_note(table)


def test_the_ranking_by_likelihood_is_in_nats() -> None:
    records = [
        record.model_copy(update={"epochs": ({"accuracy": 0.5, "nll": 1.5},)})
        for record in ranked("kd", [(0.5, size) for size in (10, 20, 30)])
    ]
    table = method_ranking(records, Objectives(score="nll"), 100, 0)
    text = shown(ranking_view(table, "methods of x"))
    assert "best NLL" in text
    assert "1.500 [1.500, 1.500]" in block(text, "kd")
    note = ranking_note(table)
    assert "square of NLL × relative log size" in note
    assert "best NLL in nats" in note


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
