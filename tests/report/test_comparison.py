"""Several studies side by side: against sums and loops of its own."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from kdsearch.errors import StudyError
from kdsearch.render.comparison import comparison_notes, sizes_view, studies_view
from kdsearch.report.comparison import compare
from kdsearch.results.study import Study

from .made import CLASSES, TASKS, make_study


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """One with distillation, which is better in these, and one without."""
    folder = tmp_path_factory.mktemp("studies")
    alone = CLASSES.replace("[none, kd, dkd, dist, kd+fitnet]", "[none]")
    return {
        "distilled": make_study(folder, CLASSES, "distilled"),
        "alone": make_study(folder, alone, "alone"),
    }


def area(points: list[tuple[float, float]]) -> float:
    """What points of (relative log size, error) dominate of the unit square, strip by strip."""
    inside = sorted(point for point in points if point[0] < 1)
    covered, best = 0.0, 1.0
    for (start, error), (end, _) in pairwise([*inside, (1.0, 1.0)]):
        best = min(best, error)
        covered += (end - start) * (1 - best)
    return covered


def test_hypervolumes_have_one_reference(studies: dict[str, Study]) -> None:
    found = compare(studies)
    assert found["reference"] == {"size": 94_186, "loss": 1.0}
    for told, study in zip(found["studies"], studies.values(), strict=True):
        trials = study.trials[study.trials["status"] == "complete"]
        points = [
            (math.log(row["parameters"]) / math.log(94_186), 1 - row["validation_accuracy"])
            for row in trials.to_dict("records")
        ]
        assert told["hypervolume"] == pytest.approx(area(points))
        tested = [
            (math.log(row["parameters"]) / math.log(94_186), 1 - row["test_accuracy"])
            for row in study.front.to_dict("records")
        ]
        assert told["test_hypervolume"] == pytest.approx(area(tested))
        assert told["finalists"] == len(study.front)


def test_each_size_class_has_the_best_on_validation_and_tells_the_test(
    studies: dict[str, Study],
) -> None:
    found = compare(studies)
    assert len(found["sizes"]) > 1
    for each in found["sizes"]:
        scores = {}
        for name, study in studies.items():
            small = study.front[study.front["parameters"] <= each["most"]]
            told = each["students"][name]
            if not len(small):
                assert told is None
                continue
            best = small.loc[small["mean_validation_accuracy"].idxmax()]
            assert (told["trial"], told["size"]) == (best["trial"], best["parameters"])
            assert told["test"] == pytest.approx(best["test_accuracy"])
            scores[name] = (best["test_accuracy"], best["test_accuracy_ci"])
        if len(scores) == 2:
            winner = max(scores, key=lambda name: scores[name][0])
            (good, half), (bad, other) = sorted(scores.values(), reverse=True)
            assert each["better"] == winner
            assert each["clear"] == (good - half > bad + other)
        else:
            assert each["better"] is None
    last = found["sizes"][-1]["most"]
    assert all(study.front["parameters"].max() <= last for study in studies.values())


def test_a_finalist_is_beaten_by_one_no_larger_and_better(studies: dict[str, Study]) -> None:
    found = compare(studies)["beaten"]
    for name, other in (("distilled", "alone"), ("alone", "distilled")):
        count = 0
        for rival in studies[other].front.to_dict("records"):
            own = studies[name].front
            no_larger = own[own["parameters"] <= rival["parameters"]]
            count += bool((no_larger["test_accuracy"] > rival["test_accuracy"]).any())
        assert found[name][other] == count
    assert found["distilled"]["alone"] > 0


def test_a_person_reads_who_is_better(studies: dict[str, Study]) -> None:
    found = compare(studies)
    notes = list(comparison_notes(found))
    count = found["beaten"]["distilled"]["alone"]
    assert notes[0].startswith(
        f"{count} of {len(studies['alone'].front)} finalists of alone are beaten on the test by a "
        "student of distilled that is no larger"
    )
    assert "94,186 parameters, error of 1" in notes[-1]
    assert sizes_view(found, None).heads == ("up to", "distilled", "alone", "better")
    assert "hypervolume" in studies_view(found, 80).heads


def test_equal_students_are_no_better(studies: dict[str, Study]) -> None:
    found = compare({"one": studies["alone"], "two": studies["alone"]})
    assert {each["better"] for each in found["sizes"]} == {None}
    assert found["beaten"] == {"one": {"two": 0}, "two": {"one": 0}}


def test_what_must_be_the_same_is_told(studies: dict[str, Study], tmp_path: Path) -> None:
    other = make_study(tmp_path, TASKS, "tasks", fingerprint="e" * 64)
    with pytest.raises(StudyError) as refused:
        compare({"distilled": studies["distilled"], "tasks": other})
    told = str(refused.value)
    assert "data (fingerprint) (distilled: ffffffffffff, tasks: eeeeeeeeeeee)" in told
    assert "objective (distilled: accuracy, tasks: ink/mae)" in told
    assert "size (distilled: parameters, tasks: macs)" in told
    split = CLASSES.replace("{{source: digits}}", "{{source: digits, seed: 4}}")
    with pytest.raises(StudyError, match=r"data\.seed \(distilled: 0, split: 4\)"):
        compare({"distilled": studies["distilled"], "split": make_study(tmp_path, split, "split")})
