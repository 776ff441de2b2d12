"""What is said of a running phase: counts, time left, and how a trial ended."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from kdsearch.display import Display
from kdsearch.display.panel import panel
from kdsearch.display.progress import Progress
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.spec import MethodConfig
from tests.records import TASK, trial


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def stopped(number: int, epochs: int) -> TrialRecord:
    reports = tuple({"epoch": n + 1, "accuracy": 0.4, "seconds": 1.0} for n in range(epochs))
    return trial(number, 0.4, 500).model_copy(update={"status": "stopped", "epochs": reports})


def test_the_time_left_is_by_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    progress = Progress("search", 10, [trial(0, 0.5, 1), trial(1, 0.5, 1)])
    for number in (2, 3):
        assert progress.left is None
        clock.now += 30
        progress.ended(trial(number, 0.5, 1))
    assert progress.left == pytest.approx(60 / 2 * 6)
    assert progress.line() == ("search: 4 of 10 complete, 0 running, about 3 min 00 s left")


def test_the_time_left_is_by_epochs_where_they_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    progress = Progress("search", 1_000, [stopped(0, 10)], most=50)
    for number in (1, 2):
        clock.now += 10
        progress.ended(stopped(number, 5))
    # 10 of 40 epochs in 20 seconds
    assert progress.left == pytest.approx(60)
    assert "0 of 1000 complete, 3 stopped early, 0 running" in progress.line()


def test_one_that_was_paused_is_none_that_has_ended() -> None:
    aside = stopped(1, 3).model_copy(update={"status": "paused"})
    progress = Progress("search", 10, [trial(0, 0.5, 1), aside])
    assert progress.line() == "search: 1 of 10 complete, 1 paused, 0 running"
    progress.started(aside.model_copy(update={"status": "running"}))
    assert progress.line() == "search: 1 of 10 complete, 1 running"
    progress.paused(aside)
    progress.ended(stopped(1, 3))
    assert progress.line().startswith("search: 1 of 10 complete, 1 stopped early, 0 running")


def test_epochs_before_and_after_a_rung_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    progress = Progress("search", 1_000, [], most=50)
    for epochs in (5, 10):
        clock.now += 10
        progress.paused(stopped(1, epochs))
    # 10 of 50 epochs in 20 seconds
    assert progress.left == pytest.approx(80)


def test_the_time_left_of_finalists_counts_those_that_stay_paused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    out = io.StringIO()
    display = Display(Console(file=out, width=200))
    display.phase_started("finalists", 22, [], 60)
    for number in range(20):  # a baseline's tuning, of which none goes on
        clock.now += 1
        display.trial_paused(stopped(number, 1).model_copy(update={"status": "paused"}))
    # 20 of 60 epochs in 20 seconds
    assert "0 of 22 complete, 20 paused, 0 running, about 40 s left" in out.getvalue()


def test_each_end_of_a_trial_has_its_line() -> None:
    out = io.StringIO()
    display = Display(Console(file=out, width=200))
    display.phase_started("search", 4, [])
    for record in (trial(0, 0.75, 12_345), stopped(1, 3), trial(2, None, 7)):
        display.trial_ended(record.model_copy(update={"reason": "made up"}))
    display.trial_paused(stopped(3, 1).model_copy(update={"status": "paused"}))
    display.budget_spent("search.max_epochs (40) leave no room for another trial")
    told, epochs = out.getvalue(), TASK.training.epochs
    assert "trial 0 none: 12,345 parameters, validation accuracy 75.00%" in told
    assert "trial 1" not in told
    assert f"of {epochs} epochs, validation accuracy 40.00% there (search: 1 of 4" in told
    assert "1 of 4 complete, 1 stopped early, 0 running, 1 failed" in told
    assert "trial 2 none failed: made up" in told
    assert "trial 3 none: 500 parameters, paused after 1 of " in told
    assert "search: no more trials are proposed, since search.max_epochs (40) leave no room" in told


def test_a_signal_is_answered_at_once_and_the_panel_makes_room(
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    display = Display(Console(file=out, width=80, force_terminal=True))
    display.phase_started("search", 4, [])
    display.trial_started(trial(0, None, 7).model_copy(update={"status": "running"}))
    until = time.monotonic() + 20
    while "running 0" not in out.getvalue():  # drawn by a thread
        assert time.monotonic() < until
        time.sleep(0.05)
    display.stopping()
    assert capfd.readouterr().err.startswith("kdsearch: stopping: ")
    written = len(out.getvalue())
    display.trial_epoch(trial(0, None, 7).model_copy(update={"status": "running"}))
    assert len(out.getvalue()) == written  # nothing is drawn over that line


def test_rows_of_the_panel_are_cut_and_never_folded() -> None:
    progress = Progress("search", 4, [])
    label = "+".join(["adversarial_embedding"] * 4)
    task = TASK.model_copy(update={"method": MethodConfig(label=label)})
    progress.started(trial(1, None, 7).model_copy(update={"status": "running", "task": task}))
    out = io.StringIO()
    Console(file=out, width=60).print(panel(progress, [], Objectives()))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4  # progress, what runs, and the front's title and heads
    assert lines[1].endswith("…")
    assert lines[2].strip() == "front so far (validation)"  # wider than the table
