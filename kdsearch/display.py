"""What a person sees of a running study: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kdsearch.execution.observers import Observer
from kdsearch.problems import find_metric
from kdsearch.problems.catalogue import MEAN, USUAL
from kdsearch.render.caches import cache_lines, error_lines
from kdsearch.render.units import duration
from kdsearch.results.front import pareto_front
from kdsearch.results.gains import sized
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.search.halving import expected_epochs
from kdsearch.spec.teaching import called
from kdsearch.teacher_cache.contents import Caches, StorageErrors
from kdsearch.training.programs import total_epochs
from kdsearch.training.teacher_store import StoredTeacher

FRONT_ROWS = 12


class Progress:
    """Counts of one phase, and the time it has left.

    Args:
        phase: ``search`` or ``finalists``.
        total: Trainings in all.
        done: Trainings ended before this run.
        most: Epochs of all trainings, as far as they are known.
    """

    def __init__(
        self, phase: str, total: int, done: Sequence[TrialRecord], most: float | None = None
    ) -> None:
        self.phase, self.total = phase, total
        self._ended = Counter(record.status for record in done if record.ended)
        self._done = {record.number: len(record.epochs) for record in done}
        self._paused = {record.number for record in done if not record.ended}
        self._most = most
        self._before = self._share()
        self.running: dict[int, TrialRecord] = {}
        self._seconds: list[float] = []
        self._start = time.monotonic()

    def started(self, record: TrialRecord) -> None:
        """Note a training that runs."""
        self._paused.discard(record.number)
        self.running[record.number] = record

    def paused(self, record: TrialRecord) -> None:
        """Count a training that is paused."""
        self._leave(record)
        self._paused.add(record.number)

    def ended(self, record: TrialRecord) -> None:
        """Count a training that has ended."""
        self._leave(record)
        self._ended[record.status] += 1

    def lost(self, record: TrialRecord) -> None:
        """Note a training whose process was lost."""
        self.running.pop(record.number, None)

    def _leave(self, record: TrialRecord) -> None:
        self.running.pop(record.number, None)
        self._paused.discard(record.number)
        self._done[record.number] = len(record.epochs)
        self._seconds.append(time.monotonic() - self._start)

    @property
    def left(self) -> float | None:
        """Seconds that the phase still takes at the pace so far; ``None`` before two have ended."""
        if len(self._seconds) < 2:
            return None
        gained = self._share() - self._before
        return self._seconds[-1] * (1 - self._share()) / gained if gained else None

    def _share(self) -> float:
        """How much is done, of the trainings or of the epochs, whichever is nearer to its end."""
        of_epochs = sum(self._done.values()) / self._most if self._most else 0.0
        return min(1.0, max(self._ended.total() / self.total if self.total else 1.0, of_epochs))

    def line(self) -> str:
        """Counts and time left in one line."""
        ended, left = self._ended, self.left
        paused = f", {len(self._paused)} paused" if self._paused else ""
        stopped = f", {ended['stopped']} stopped early" if ended["stopped"] else ""
        tail = f", about {duration(left)} left" if left else ""
        return (
            f"{self.phase}: {ended['complete']} of {self.total} complete{paused}{stopped}, "
            f"{len(self.running)} running, {ended['failed']} failed{tail}"
        )


class Display(Observer):
    """Follows a study on a console.

    Args:
        console: Where to show it; a terminal gets a live panel, anything else plain lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._objectives = Objectives()
        self._most_epochs: float | None = None
        self._records: list[TrialRecord] = []
        self._progress: Progress | None = None
        self._teacher: tuple[str, int, float] | None = None
        self._teacher_epochs = 0
        self._start = time.monotonic()

    def study_started(self, study: Study) -> None:
        self._objectives = study.objectives
        self._most_epochs = expected_epochs(study.spec)
        self._say(f"study {study.spec.study.name} in {study.directory.path}")

    def teacher_started(self, name: str, epochs: int) -> None:
        self._teacher = (name, epochs, time.monotonic())
        self._teacher_epochs = 0
        self._say(f"{called(name)}: training for {epochs} epochs")
        self._show()

    def teacher_epoch(self, report: dict[str, float]) -> None:
        if self._teacher is None:
            return
        name, epochs, start = self._teacher
        self._teacher_epochs += 1  # a training that goes on does not start at epoch 1
        spent = time.monotonic() - start
        left = spent / self._teacher_epochs * (epochs - report["epoch"])
        line = (
            f"{called(name)}: epoch {report['epoch']:.0f} of {epochs}{self._told(report)}, about "
            f"{duration(left)} left"
        )
        if self._live:
            self._live.update(Text(line))
        elif report["epoch"] % max(1, epochs // 10) == 0:
            self._console.print(line, highlight=False)

    def teacher_ready(self, teacher: StoredTeacher, trained: bool) -> None:
        self._hide()
        history = teacher.facts.get("history")
        scored = self._told(history[-1]) if history else ""
        how = "trained" if trained else f"found at {teacher.weights}, not trained again"
        self._say(f"{called(teacher.name)}: {how}{scored}")

    def caches_planned(self, caches: Caches) -> None:
        for line in cache_lines(caches):
            self._say(line)

    def cache_part(self, name: str, done: int, total: int) -> None:
        line = f"{called(name)}: {done} of {total} parts of the cache are built"
        if self._console.is_terminal:
            self._show()
        if self._live:
            self._live.update(Text(line))
        elif done % max(1, total // 10) == 0:
            self._say(line)

    def caches_stored(self, errors: StorageErrors) -> None:
        for line in error_lines(errors):
            self._say(line)

    def phase_started(self, phase: str, total: int, finished: Sequence[TrialRecord]) -> None:
        self._hide()
        if self._progress is not None:
            self._say(self._progress.line())
        most = self._most_epochs if phase == "search" else None
        self._progress = Progress(phase, total, finished, most)
        if phase == "search":
            self._records = list(finished)
        self._say(f"{phase}: {total} trainings" + (f", {len(finished)} done" if finished else ""))
        self._show()

    def trial_started(self, record: TrialRecord) -> None:
        self._running(record)

    def trial_epoch(self, record: TrialRecord) -> None:
        self._running(record)

    def trial_paused(self, record: TrialRecord) -> None:
        assert self._progress is not None
        self._progress.paused(record)
        if self._live is None:
            self._say(f"{self._result(record)} ({self._progress.line()})")
        self._refresh()

    def trial_lost(self, record: TrialRecord, reason: str) -> None:
        assert self._progress is not None
        self._progress.lost(record)
        done, epochs = len(record.epochs), total_epochs(record.task)
        where = f"goes on from epoch {done} of {epochs}" if done else "starts over"
        name = f"trial {record.number} {record.task.method.label}"
        console = self._live.console if self._live is not None else self._console
        console.print(f"{name}: {reason}; it {where}", highlight=False)
        self._refresh()

    def trial_ended(self, record: TrialRecord) -> None:
        assert self._progress is not None
        self._progress.ended(record)
        if record.phase == "search":
            self._records.append(record)
        if self._live is None and record.status != "stopped":  # those are many, and all at the end
            self._say(f"{self._result(record)} ({self._progress.line()})")
        elif self._live is not None and record.status == "failed":
            self._live.console.print(self._result(record), highlight=False)
        self._refresh()

    def warned(self, message: str) -> None:
        self._say(f"warning: {message}")

    def budget_spent(self, reason: str) -> None:
        self._hide()
        self._say(f"search: no more trials are proposed, since {reason}")

    def study_finished(self, study: Study) -> None:
        self._hide()
        self._say(f"finished in {duration(time.monotonic() - self._start)}")

    def study_stopped(self, study: Study, state: str, reason: str) -> None:
        self._hide()

    def _running(self, record: TrialRecord) -> None:
        assert self._progress is not None
        self._progress.started(record)
        self._refresh()

    def _result(self, record: TrialRecord) -> str:
        name = f"trial {record.number} {record.task.method.label}"
        if record.status == "failed":
            return f"{name} failed: {record.reason}"
        size = self._sized(record)
        if not record.ended:
            epochs = f"{len(record.epochs)} of {total_epochs(record.task)} epochs"
            return f"{name}: {size}, paused after {epochs}{self._told(record.epochs[-1])} there"
        return f"{name}: {size}{self._told(record.scores)}"

    def _told(self, report: Mapping[str, float]) -> str:
        """The objective's score of an epoch, or one that it has where that is none of its own."""
        mains = [names[0] for names in USUAL.values()]
        for name in (self._objectives.score, MEAN.name, *mains):
            if name in report:
                metric = find_metric(name)
                return f", validation {metric.title} {metric.told(report[name])}"
        return ""

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False)

    def _show(self) -> None:
        if self._console.is_terminal and self._live is None:
            self._live = Live(
                console=self._console, refresh_per_second=4, transient=True, redirect_stderr=False
            )
            self._live.start()
            self._refresh()

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _refresh(self) -> None:
        if self._live is not None and self._progress is not None:
            self._live.update(self._panel(self._progress))

    def _panel(self, progress: Progress) -> RenderableType:
        parts: list[RenderableType] = [Text(progress.line(), style="bold")]
        for number, record in sorted(progress.running.items()):
            epochs = total_epochs(record.task)
            parts.append(
                Text(
                    f"  running {number}: {record.task.method.label}, {self._sized(record)}, "
                    f"epoch {len(record.epochs)}/{epochs}",
                    style="dim",
                )
            )
        if progress.phase == "search":
            parts.append(self._front())
        return Group(*parts)

    def _sized(self, record: TrialRecord) -> str:
        return sized(record.size(self._objectives.size), self._objectives.size)

    def _front(self) -> Table:
        table = Table(title="front so far (validation)", title_justify="left", box=None)
        title, size = self._objectives.metric.title, self._objectives.size
        for name, justify in ((size, "right"), (title, "right"), ("method", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        members = pareto_front(self._records, self._objectives)
        hidden = len(members) - FRONT_ROWS
        if hidden > 0:
            table.title = f"front so far (validation), {hidden} smaller ones not shown"
        for record in members[-FRONT_ROWS:]:
            shown = self._objectives.metric.told(self._objectives.value(record))
            table.add_row(f"{record.size(size):,.0f}", shown, record.task.method.label)
        return table
