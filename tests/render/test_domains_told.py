"""A study with a target domain for a person: both scores side by side, and what is compared."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.problems import CLASSIFICATION
from kdsearch.render.front import front_view
from kdsearch.render.front_notes import front_notes
from kdsearch.render.pick import gain_told, pick_line, pick_lines
from kdsearch.results.finalists import Finalist
from kdsearch.results.front_file import metric_facts, rows
from kdsearch.results.gains import gain_note
from kdsearch.results.limits import Limits
from kdsearch.results.objectives import Objectives
from kdsearch.results.pick import pick
from kdsearch.results.tables import front_table
from tests.render.reading import block, shown
from tests.render.test_front import judged

SCORES = {"accuracy": 0.6, "nll": 0.4, "source_accuracy": 0.95, "source_nll": 0.1}
PLAIN = {"accuracy": 0.4, "nll": 0.9, "source_accuracy": 0.97, "source_nll": 0.1}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    taught, plain = judged(0, "kd", "teacher", SCORES), judged(1, "none", None, PLAIN)
    finalists = [Finalist(taught.trial, taught.runs, plain.runs), plain]
    names = CLASSIFICATION.names
    table = front_table(
        finalists, Objectives(), range(9), elsewhere=[f"source_{name}" for name in names]
    )
    return {
        "study": "worn",
        "domains": {"source": "studio", "target": "phone"},
        "objective": "accuracy",
        "sizes": ["parameters"],
        "size_names": ["parameters"],
        "metrics": {name: metric_facts(name) for name in names},
        "teacher": {
            "name": "teacher",
            "sizes": {"parameters": 9000},
            "test": {"accuracy": 0.5, "source_accuracy": 0.99},
            "validation": {"accuracy": 0.51},
        },
        "baselines": ["none"],
        "front": rows(table),
    }


@pytest.mark.parametrize("width", [80, 200])
def test_source_and_target_stand_side_by_side(content: dict[str, Any], width: int) -> None:
    layout = front_view(content, width)
    place = layout.heads.index("on target")
    assert layout.heads[place + 1] == "on source"
    assert "gain" in layout.heads
    text = shown(layout.tables[0], width)
    # means over seeds 1 to 3, each a point more than the last
    assert "62.00 ± 2.48  97.00 ± 2.48" in block(text, "0")
    assert "50.00" in block(text, "teacher")
    assert "99.00" in block(text, "teacher")
    assert max(map(len, text.splitlines())) <= width


def test_the_notes_name_both_tests_and_the_baseline(content: dict[str, Any]) -> None:
    first, *_ = front_notes(content, front_view(content, 80))
    assert first.startswith(
        "on target, on source: accuracy in % on the tests of both domains; gain in points "
        "of accuracy on target over the same student without adaptation, at its own best learning"
    )
    assert gain_note(content) == "adaptation helps at 1 of 1 finalists (1,000 parameters)"


def test_a_page_of_one_student_tells_both(content: dict[str, Any]) -> None:
    found = pick(content, Limits())
    told = list(pick_lines(content, found, "studies/worn", Limits()))
    heads = dict(told)
    assert heads["accuracy"] == "62.00% ± 2.48% on the target's test, over 3 seeds"
    assert ("", "97.00% ± 2.48% on the source's test") in told
    assert heads["teacher"].startswith("50.00% on the target's test")
    assert heads["teacher"].endswith("; 99.00% on the source's")
    assert (
        "over the same student without adaptation, tuned as well: it helps" in heads["adaptation"]
    )
    line = pick_line(content, found)
    assert "parameters, 62.00% ± 2.48% on the target's test" in line
    assert line.endswith("; 97.00% ± 2.48% on the source's")


def test_a_student_that_is_not_adapted_is_told_so(content: dict[str, Any]) -> None:
    told = gain_told(content, content["front"][1])
    assert told == "the student is not adapted: adaptation does not help here"


def test_without_a_target_nothing_is_told_of_one(content: dict[str, Any]) -> None:
    one = content | {"domains": None}
    text = "\n".join([*front_notes(one, front_view(one, 200)), gain_note(one)])
    text += shown(front_view(one, 200).tables[0], 200)
    assert "test accuracy" in text
    assert "undistilled" in text
    assert not any(word in text for word in ("source", "adapt", "on target"))
