"""The steps of a command before it has anything to show."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kdsearch.render.steps import Steps


@pytest.mark.parametrize(("piped", "lines"), [(True, ["one …", "two …"]), (False, [])])
def test_a_pipe_gets_a_line_for_each_if_it_is_to(piped: bool, lines: list[str]) -> None:
    out = io.StringIO()
    with Steps(Console(file=out), piped) as steps:
        steps.show("one")
        steps.show("two")
    assert out.getvalue().splitlines() == lines


def test_a_terminal_shows_the_present_one_and_clears_it() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60)
    with Steps(console) as steps:
        steps.show("one")
        steps.show("two")
    written = out.getvalue()
    assert "one …" in written
    assert "two …" in written
    assert written.endswith("\x1b[1A\x1b[2K")  # up to the line of the step, which is erased
    console.print("done")  # and the console is free again
