"""Trials and front as data frames."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from kdsearch.methods import METHODS
from kdsearch.problems import CLASSIFICATION, find_metric
from kdsearch.results.compared import ComparedTeacher
from kdsearch.results.finalists import Finalist, Interval, trainings
from kdsearch.results.int8 import int8_columns
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from kdsearch.training.measured import MEASURED
from kdsearch.ways import way_label, way_values

SOFTENED = frozenset(name for name, method in METHODS.items() if method.kind == "logit")
"""Methods whose temperature is that of a softmax over the classes."""


def describe_trial(record: TrialRecord) -> dict[str, Any]:
    """What a trial is: method and way with their values, teacher, student, sizes."""
    task = record.task
    values = {
        (f"{term.name}.{name}" if len(task.method.terms) > 1 else name): value
        for term in task.method.terms
        for name, value in term.hyperparameters.items()
    }
    temperatures = [
        term.hyperparameters["temperature"]
        for term in task.method.terms
        if "temperature" in term.hyperparameters and term.name in SOFTENED
    ]
    weights = {name: value for name, value in values.items() if name.endswith("weight")}
    return {
        "trial": record.number,
        "method": task.method.label,
        "temperature": temperatures[0] if temperatures else None,
        "weights": {"ce": task.method.ce_weight} | weights,
        "hyperparameters": values,
        "teacher": task.teacher,
        "family": task.model.family,
        "width": task.model.width,
        "depth": task.model.depth,
        "way": way_label(task.model.ways),
        "way_values": way_values(task.model.ways),
        "stored": task.model.stored,
        "init": task.model.init,
        **({"began_with": earlier.told} if (earlier := task.model.earlier) else {}),
        **({"inputs": ", ".join(task.model.inputs)} if task.model.inputs else {}),
        **({"side": task.model.side} if task.model.side else {}),
        "lr": task.training.lr,
        "weight_decay": task.training.weight_decay,
        "label_smoothing": task.training.label_smoothing,
        **{f"task.{name}": weight for name, weight in task.task_weights.items()},
        **_place_in_ladder(record),
        "parameters": record.parameter_count,
        "macs": record.macs,
        "bytes": record.bytes,
        "latency": record.latency,
        **({} if record.int8_bytes is None else {"int8_bytes": record.int8_bytes}),
        **({} if record.int8_latency is None else {"int8_latency": record.int8_latency}),
        **{name: size for name, size in _latest(record).items() if name in MEASURED},
    }


def _place_in_ladder(record: TrialRecord) -> dict[str, Any]:
    if record.ladder is None:
        return {}
    return {"ladder": record.ladder, "lineage_epochs": record.task.lineage_epochs}


def _latest(record: TrialRecord) -> Mapping[str, float]:
    return record.epochs[-1] if record.epochs else {}


def trials_table(
    records: Sequence[TrialRecord],
    on_front: Sequence[TrialRecord],
    metrics: Sequence[str] = CLASSIFICATION.names,
) -> pd.DataFrame:
    """One row a trial, by number; each score in its metric's own unit, shares in [0, 1].

    Only a complete training has scores, those after its last epoch.

    Args:
        records: The trials.
        on_front: Those of them on the front.
        metrics: Names of the scores that get a column.
    """
    front = {record.number for record in on_front}
    rows = []
    for record in sorted(records, key=lambda record: record.number):
        rows.append(
            describe_trial(record)
            | {"status": record.status, "reason": record.reason}
            | _validation(record, metrics)
            | {
                "epochs": len(record.epochs),
                "seconds": record.seconds,
                "front": record.number in front,
            }
        )
    return pd.DataFrame(rows)


def front_table(
    finalists: Sequence[Finalist],
    objectives: Objectives,
    members: Collection[int],
    metrics: Sequence[str] = CLASSIFICATION.names,
    teacher: ComparedTeacher | None = None,
    samples: int = 0,
    latencies: Mapping[str, Mapping[str, Any]] | None = None,
    elsewhere: Sequence[str] = (),
) -> pd.DataFrame:
    """One row a finalist, small to large; scores as in :func:`trials_table`.

    A column with ``_ci`` is half the width of the 95 % interval of the mean before it. ``member``
    tells those of the validation front from those within noise of it. ``beaten_by`` is the trial of
    the best finalist that is no larger and whose interval on the test lies wholly on the better
    side of this one's; it is absent for most. ``gain`` is in the score that ``objective`` names;
    ``trainings`` is how many times the baseline's compute a training of the finalist takes.
    ``mean_validation_`` is a mean over the finalist's own seeds, and ``mean_validation_error`` the
    standard error of the objective's; what quantization makes of it stands in the columns of
    :func:`~kdsearch.results.int8.int8_columns`; ``shipped_test_`` is the score of the training
    whose weights are shipped; ``retained`` is the share of the teacher's test score by the
    objective that it keeps, ``retained_validation`` that of the mean validation score.

    In a study whose strategy is ``ladder``, ``start`` tells whether the trainings that count are
    from ``scratch`` or of a ``chain``, ``lineage_epochs`` is the number of epochs of one of them
    and of all that it went on from, and columns with ``other_`` are of the trainings the other way.

    Args:
        finalists: The finalists.
        objectives: What is weighed.
        members: Numbers of the trials on the validation front.
        metrics: Names of the scores that get columns.
        teacher: The one with whom students are compared.
        samples: Validation samples.
        latencies: What was measured of finalists in the end, by the trial's number as text.
        elsewhere: Names of the scores on the source's test, in a study with a target domain.
    """
    beaten = beaten_by(finalists, objectives)
    rows = []
    for finalist, int8 in zip(finalists, int8_columns(finalists), strict=True):
        trial, gain = finalist.trial, finalist.gain
        tuned = finalist.baseline[0].task.training if finalist.baseline else None
        row = describe_trial(trial) | _validation(trial, metrics)
        for name in (*metrics, *elsewhere):
            row |= _columns(f"test_{name}", finalist.test(name))
        for name in (*metrics, *elsewhere):
            row |= _columns(f"baseline_{name}", finalist.baseline_test(name))
        for name in metrics:
            row[f"mean_validation_{name}"] = finalist.validation(name).mean
        row |= _shipped(finalist, objectives.score) | _beginnings(finalist, objectives.score)
        row |= {
            "mean_validation_error": finalist.validation_error(samples),
            **_retained(finalist, objectives, teacher),
            "undistilled": trial.task.is_baseline,
            "baseline_method": finalist.baseline[0].task.method.label
            if finalist.baseline
            else None,
            "baseline_lr": tuned and tuned.lr,
            "baseline_weight_decay": tuned and tuned.weight_decay,
            "baseline_label_smoothing": tuned and tuned.label_smoothing,
            "trainings": trainings(trial.task),
            **_columns("gain", gain),
            "seeds": finalist.test(objectives.score).count,
            "gain_seeds": gain.count,
            "objective": objectives.score,
            "member": trial.number in members,
            "beaten_by": beaten.get(trial.number),
            **int8,
            **_timed(row, (latencies or {}).get(str(trial.number), {})),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _timed(row: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """Latency and memory in the end, when nothing else ran; without it, those of the search."""
    names = ("latency", "int8_latency", "peak_memory", "int8_peak_memory")
    return {name: measured.get(name, row.get(name)) for name in names}


def _shipped(finalist: Finalist, score: str) -> dict[str, Any]:
    """The training whose weights are shipped, and its own test score by the objective."""
    run = finalist.shipped
    if run is None or run.test is None:
        return {"shipped_seed": None, f"shipped_test_{score}": None}
    return {"shipped_seed": run.task.seed, f"shipped_test_{score}": run.test.get(score)}


def _beginnings(finalist: Finalist, score: str) -> dict[str, Any]:
    """How a finalist of a ladder was trained, and what the other way gave."""
    if finalist.trial.ladder is None:
        return {}
    other = replace(finalist, runs=finalist.other)
    return {
        "start": finalist.start,
        "lineage_epochs": finalist.lineage_epochs,
        "other_start": other.start,
        "other_lineage_epochs": other.lineage_epochs,
        f"other_mean_validation_{score}": other.validation(score).mean,
        **_columns(f"other_test_{score}", other.test(score)),
    }


def _retained(
    finalist: Finalist, objectives: Objectives, teacher: ComparedTeacher | None
) -> dict[str, float]:
    name = objectives.score
    test, validation = finalist.test(name).mean, finalist.validation(name).mean
    if teacher is None:
        return {"retained": float("nan"), "retained_validation": float("nan")}
    return {
        "retained": teacher.retained(name, test),
        "retained_validation": teacher.retained(name, validation, "validation"),
    }


def beaten_by(finalists: Sequence[Finalist], objectives: Objectives) -> dict[int, int]:
    """Which finalists another one clearly beats on the test, as :func:`front_table` tells."""
    sign = 1 if objectives.metric.better == "lower" else -1
    found = {}
    for one in finalists:
        own = one.test(objectives.score)
        rivals = []
        for other in finalists:
            score = other.test(objectives.score)
            no_larger = all(other.trial.size(n) <= one.trial.size(n) for n in objectives.sizes)
            gap = sign * (own.mean - score.mean)
            worse = any(
                find_metric(name).loss(other.test(name).mean)
                > find_metric(name).loss(one.test(name).mean)
                for name in objectives.more
            )
            if no_larger and not worse and gap > own.half_width + score.half_width:
                rivals.append((sign * score.mean, other.trial.number))
        if rivals:
            found[one.trial.number] = min(rivals)[1]
    return found


def _validation(record: TrialRecord, metrics: Sequence[str]) -> dict[str, float]:
    """The validation scores of a record, not a number where it has none."""
    return {f"validation_{name}": record.scores.get(name, float("nan")) for name in metrics}


def _columns(name: str, score: Interval) -> dict[str, float]:
    return {name: score.mean, f"{name}_ci": score.half_width}
