"""The list of ways: complete, one line a value, and true of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from kdsearch.render.way_catalogue import ways_notes, ways_view
from kdsearch.ways import WAYS


def lines(width: int) -> list[str]:
    console = Console(width=width, record=True, file=None, quiet=False)
    with console.capture() as caught:
        for table in ways_view(width).tables:
            console.print(table)
    return caught.get().splitlines()


@pytest.mark.parametrize("width", [80, 140])
def test_every_way_is_listed_with_its_values(width: int) -> None:
    shown = lines(width)
    assert all(len(line.rstrip()) <= width for line in shown)
    assert [line.split()[0] for line in shown[1:] if not line.startswith(" ")] == ["none", *WAYS]
    for way in WAYS.values():
        for name, declared in way.hyperparameters.items():
            assert any(f"{name} {declared.default:g}; " in line for line in shown), way.name


def test_a_wide_terminal_shows_the_papers() -> None:
    text = "\n".join(lines(140))
    assert "Kim et al. 2016" in text
    assert "…" not in text


def test_the_note_tells_what_can_be_added() -> None:
    (note,) = ways_notes()
    assert "the layers: low_rank, share; how weights are stored: sparse," in note


@pytest.mark.parametrize("name", [*WAYS, "tests.ways.test_registry:Doubled"])
def test_the_command_shows_a_way_in_full(kdsearch: Callable[..., str], name: str) -> None:
    told = " ".join(kdsearch("ways", name).split())
    assert told.startswith(name)
    way = WAYS.get(name)
    if way is not None:
        assert way.paper in told
        assert all(each.about in told for each in way.hyperparameters.values())


def test_the_command_shows_each_way_of_a_sum(kdsearch: Callable[..., str]) -> None:
    told = kdsearch("ways", "low_rank+quantize")
    assert told.index("low_rank\n") < told.index("quantize\n")
    assert kdsearch("ways", "none").startswith("none: a student as it is")
