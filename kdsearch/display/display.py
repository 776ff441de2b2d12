"""The watcher that follows a study on a console."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kdsearch.display.panel import panel
from kdsearch.display.progress import Progress
from kdsearch.execution.observers import Observer
from kdsearch.interrupts import say
from kdsearch.problems import find_metric
from kdsearch.problems.catalogue import MEAN, USUAL
from kdsearch.render.caches import cache_lines, error_lines
from kdsearch.render.steps import Steps
from kdsearch.results.durations import duration
from kdsearch.results.limits import told_size
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.results.spent import spent_told
from kdsearch.results.study import Study
from kdsearch.spec.teaching import called
from kdsearch.teacher_cache.contents import Caches, StorageErrors
from kdsearch.training.programs import total_epochs
from kdsearch.training.teacher_store import StoredTeacher

_STOPPING = (
    "stopping: the trainings that run are ended, what is finished is saved, Ray and MLflow are "
    "closed; that takes some seconds"
)


class Display(Observer):
    """Follows a study on a console.

    Args:
        console: Where to show it; a terminal gets a live panel, anything else plain lines.
        steps: What shows the steps before the study starts.
    """

    def __init__(self, console: Console, steps: Steps | None = None) -> None:
        self._console = console
        self._steps = steps or Steps(console)
        self._live: Live | None = None
        self._objectives = Objectives()
        self._records: list[TrialRecord] = []
        self._progress: Progress | None = None
        self._teacher: tuple[str, int, float] | None = None
        self._teacher_epochs = 0
        self._pretrained: dict[str, bool] = {}
        self._start = time.monotonic()

    def preparing(self, step: str) -> None:
        self._steps.show(step)

    def study_started(self, study: Study) -> None:
        self._steps.close()
        self._objectives = study.objectives
        given = study.spec.given_teachers.items()
        self._pretrained = {name: each.model.pretrained for name, each in given}
        self._say(f"study {study.spec.study.name} in {study.directory.path}")

    def teacher_started(self, name: str, epochs: int) -> None:
        self._teacher = (name, epochs, time.monotonic())
        self._teacher_epochs = 0
        how = "fine-tuning" if self._pretrained.get(name) else "training"
        self._say(f"{called(name)}: {how} for {epochs} epochs")
        self._show()
        if self._live:
            self._live.update(Text(f"{called(name)}: the first epoch runs"))

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
        how = "trained" if trained else f"found at {teacher.origin}, not trained again"
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

    def phase_started(
        self,
        phase: str,
        total: int | None,
        finished: Sequence[TrialRecord],
        epochs: float | None = None,
    ) -> None:
        self._hide()
        if self._progress is not None:
            self._say(self._progress.line())
        self._progress = Progress(phase, total, finished, epochs)
        if phase == "search":
            self._records = list(finished)
        told = f"trainings of at most {epochs:g} epochs" if total is None else f"{total} trainings"
        self._say(f"{phase}: {told}" + (f", {len(finished)} done" if finished else ""))
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
        self._say(f"training took: {spent_told(study, with_epochs=False)}")

    def stopping(self) -> None:
        self._hide()
        say(_STOPPING)

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
            self._live.update(panel(self._progress, self._records, self._objectives))

    def _sized(self, record: TrialRecord) -> str:
        return told_size(self._objectives.size, record.size(self._objectives.size))
