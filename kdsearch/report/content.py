"""All that the page shows of a study, as one JSON object."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from kdsearch.errors import RunError
from kdsearch.problems import Metric, find_metric
from kdsearch.report.curves import LOSS, curve_names, curves
from kdsearch.report.importances import importances
from kdsearch.report.progress import progress
from kdsearch.report.style import SIZE_NAMES, looks_of
from kdsearch.report.trials import finalist_rows, trial_rows
from kdsearch.results.domains import adapts, worth
from kdsearch.results.front import pareto_front
from kdsearch.results.front_file import front_content
from kdsearch.results.gains import gain_note, undistilled
from kdsearch.results.naming import network_told
from kdsearch.results.pick import pick
from kdsearch.results.record import TrialRecord
from kdsearch.results.spent import spent_told
from kdsearch.results.study import Study


def content(study: Study, ended: bool = False) -> dict[str, Any]:
    """What the page's scripts draw; numbers that are none are ``None``.

    A study that has not ended is told as far as it has come.

    Args:
        study: The study.
        ended: Whether its own run writes this as its last step, so that it counts as finished.
    """
    lines = study.directory.trials.lines()
    latest = list(study.directory.trials.read().values())
    records = [record for record in latest if record.epochs or record.ended]
    members = {member.number for member in pareto_front(latest, study.objectives)}
    front, ranking = study.front, study.ranking
    told = front_content(study, front)
    tried = {record.task.method.label for record in latest}
    names = curve_names(study)
    objectives = study.objectives
    found = {
        "study": _told_of(study, latest, ended),
        "verdict": _verdict(told),
        "domains": told["domains"],
        "objective": objectives.score,
        "more": list(objectives.more),
        "searched_sizes": list(objectives.sizes),
        "size": study.size,
        "metrics": {name: _metric(find_metric(name)) for name in study.metrics},
        "size_names": SIZE_NAMES,
        "methods": [
            {"label": look.label, "colour": look.colour, "symbol": look.symbol}
            for look in looks_of(study)
            if look.label in tried
        ],
        "teacher": _teacher(study),
        "pick": _picked(told),
        "trials": trial_rows(study, records, members),
        "finalists": finalist_rows(study, front) if len(front) else [],
        "progress": progress(lines, objectives, study.largest) if members else [],
        "ranking": ranking.to_dict("records"),
        "ways": study.way_ranking.to_dict("records"),
        "ways_of_few": study.ways_of_few,
        "importance": importances(study),
        "curves": {"names": names, "loss": LOSS, "trials": curves(latest, lines, names)},
    }
    return plain(found)


def plain(value: Any) -> Any:
    """A value as JSON holds it: floats to six digits, and what is not finite as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return None if value is pd.NA else value


def _told_of(study: Study, latest: Sequence[TrialRecord], ended: bool) -> dict[str, Any]:
    """The study's name, state and the facts of the page's head."""
    state = study.state
    changed = datetime.fromtimestamp(state.get("updated", 0), UTC)
    return {
        "name": study.spec.study.name,
        "state": "finished" if ended else state.get("state", "begun"),
        "phase": state.get("phase"),
        "reason": state.get("reason"),
        "changed": f"{changed:%Y-%m-%d %H:%M} UTC",
        "facts": [[name, text] for name, text in _facts(study, latest) if text],
    }


def _facts(study: Study, latest: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    spec, data = study.spec, study.state.get("data", {})
    counts: Counter[str] = Counter(record.status for record in latest)
    ended = ", ".join(f"{counts[status]} {status}" for status in _STATES if counts[status])
    samples = f"{data['train']:,} training and {data['validation']:,} validation samples"
    models = [given.model for given in spec.given_teachers.values()]
    teachers = [network_told(each.family, each.width, each.depth) for each in models]
    reasons = Counter(record.reason for record in latest if record.status == "failed")
    failed = "; ".join(f"{count}× {reason}" for reason, count in reasons.most_common(3))
    epochs = sum(len(record.epochs) for record in latest)
    hours = sum(record.seconds for record in latest) / 3600
    time = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
    return [
        ("Data", f"{data['name']}: {samples}" if data else ""),
        ("Teacher", ", ".join(teachers)),
        ("Trials", f"{ended}; {epochs:,} epochs, {time} of training" if ended else "none yet"),
        ("Cost", spent_told(study)),
        ("Failures", failed),
        (
            "Search",
            f"{spec.search.sampler}, scheduler {spec.search.scheduler.name}, "
            f"seed {spec.study.seed}",
        ),
    ]


_STATES = ("complete", "stopped", "failed", "paused", "running")


def _teacher(study: Study) -> dict[str, Any] | None:
    """Sizes and scores of the teacher with whom students are compared, as far as they are known."""
    teacher = study.teacher
    if teacher is None:
        return None
    return {"sizes": teacher.sizes, "test": teacher.test, "validation": teacher.validation}


def _picked(told: Mapping[str, Any]) -> int | None:
    """The trial of the student to ship; ``None`` before any finalist is judged."""
    with suppress(RunError):
        return int(pick(told).row["trial"])
    return None


def _verdict(told: Mapping[str, Any]) -> str:
    if told["front"] and all(map(undistilled, told["front"])):
        how = "adapted" if adapts(told) else "distilled"
        return f"no finalist is {how}: within this budget {worth(told)} does not help"
    return gain_note(told)


def _metric(metric: Metric) -> dict[str, Any]:
    """What the scripts need to tell and to draw a score."""
    return {
        "title": metric.title,
        "head": metric.head,
        "about": metric.about,
        "loss_title": metric.loss_title,
        "unit": metric.unit,
        "gain_unit": metric.gain_unit,
        "better": metric.better,
        "lowest": metric.lowest,
        "highest": metric.highest,
        "shown": metric.shown,
        "compares": metric.compares,
    }
