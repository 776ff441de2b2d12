"""The simulated search: its seconds are the documented ones, its course and share are right."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kdsearch.methods import METHODS


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return import_module("utilisation_search")


def test_the_seconds_are_those_of_the_table_of_methods(made: Any) -> None:
    table = Path(__file__).parents[2] / "docs" / "measurements" / "methods.md"
    row = r"^\| (\w+)(?: \(.*?\))? \|(?:[^|]*\|){5} (\d+) \|$"
    rows = re.findall(row, table.read_text(), re.MULTILINE)
    assert {name: int(seconds) for name, seconds in rows} == made.SECONDS
    every = METHODS.items()
    taught = {name for name, one in every if one.needs_teacher and not one.unlabelled}
    assert set(made.SECONDS) == {"none", *taught}


@pytest.mark.parametrize("scheduler", ["none", "halving"])
def test_the_deterministic_course_is_that_of_any_speed_and_the_other_is_not(
    made: Any, scheduler: str
) -> None:
    """The same proposals and scores under other times; with one worker, one after another."""

    def course(seconds: Any, deterministic: bool) -> list[tuple[int, int]]:
        world = made.World(0, 60)
        search = made.Search(world, 4, deterministic, scheduler)
        search._proposals = [(r, seconds(s), a) for r, s, a in search._proposals]
        list(made.run(search, 4))
        return search.course

    speeds = (lambda s: s, lambda s: 1.0, lambda s: 1 / s)
    same = [course(each, True) for each in speeds]
    assert same[0] == same[1] == same[2]
    assert len(same[0]) >= 60
    if scheduler == "halving":
        free = [course(each, False) for each in speeds]
        assert free[0] != free[2]
        assert all(set(one) >= {(number, 3) for number in range(60)} for one in (*same, *free))


def test_the_share_is_what_the_workers_train_of_all_their_time(made: Any) -> None:
    """Three trainings of 2, 1 and 4 s on two workers: 7 of 2 · 5 s."""
    search = made.Search(made.World(0, 3), 2, False, "none")
    whole = [2.0, 1.0, 4.0]
    search._proposals = [
        (record, whole[place] / made.EPOCHS, accuracy)
        for place, (record, _, accuracy) in enumerate(search._proposals)
    ]
    assert made.utilisation(search, 2) == pytest.approx(0.7)


def test_a_share_of_the_trials_takes_its_time_twice(made: Any) -> None:
    world = made.World(3, 300)
    once = [seconds for _, seconds, _ in replace(world, restarted=0.0).proposals()]
    some = [seconds for _, seconds, _ in world.proposals()]
    ratios = [one / other for one, other in zip(some, once, strict=True)]
    assert {round(ratio, 9) for ratio in ratios} == {1.0, 2.0}
    assert 3 <= ratios.count(2.0) <= 25
