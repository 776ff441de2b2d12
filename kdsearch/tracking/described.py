"""What is told of a training before it begins: its name, its parameters, its sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdsearch.results.record import TrialRecord
from kdsearch.spec.sections import SEARCHED_TRAINING
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import UNDISTILLED
from kdsearch.spec.ways import NO_WAY
from kdsearch.tracking.lineage import Lineage
from kdsearch.tracking.lookup import KEY_DIGITS
from kdsearch.ways import way_label

DIGITS = 4
"""Digits of a number: more are noise beside others. The study's own files have all of them."""


@dataclass(frozen=True)
class Description:
    """What is known of a training before it begins.

    Attributes:
        parameters: Its values, by the same names whatever its method.
        sizes: Its student's sizes.
    """

    parameters: Mapping[str, Any]
    sizes: Mapping[str, float]


def run_name(record: TrialRecord, lineage: Lineage) -> str:
    """What a training is, in a few words: ``dist 1,445 parameters``."""
    kind, label = lineage.kind(record), record.task.method.label
    way = way_label(record.task.model.ways)
    by = "" if way == NO_WAY else f"with {way} "
    student = f"{by}{record.parameter_count:,} parameters"
    plain = "not adapted" if lineage.adapts else "undistilled"
    alone = plain if label == UNDISTILLED else label
    if kind == "sweep":
        return f"tuning {alone} {student}, lr {rounded(record.task.training.lr):g}"
    if kind == "chain":
        return f"before it: {label} {student}, seed {lineage.seed(record)}"
    seed = f", seed {lineage.seed(record)}" if kind in ("finalist", "baseline") else ""
    seed += " in a chain" if seed and record.task.parent else ""
    return f"{alone if kind == 'baseline' else label} {student}{seed}"


def described(record: TrialRecord, spec: StudySpec, lineage: Lineage) -> Description:
    """A training's parameters and sizes.

    Parameters are what the search or the tuning of a baseline may vary. ``temperature``,
    ``ce_weight`` and ``method_weight`` are there under one name for every method, so that methods
    compare: a sum of methods has the temperature of its first term that has one, and the sum of
    its terms' weights; without a method the weight is 0. Other values are ``TERM.NAME``.
    """
    task, trial = record.task, lineage.trial(record) or record
    model, terms = task.model, task.method.terms
    found: dict[str, Any] = {
        "method": task.method.label,
        "family": model.family,
        "width": model.width,
        "depth": model.depth,
    }
    if spec.has_ways:
        found["way"] = way_label(model.ways)
        found |= {f"{way.name}.{n}": value for way in model.ways for n, value in way.values.items()}
    if any(len(student.stored) > 1 for student in spec.students):
        found["stored"] = model.stored
    if model.side:
        found["side"] = model.side
    if any(len(student.inits) > 1 for student in spec.students):
        found["init"] = model.init
    if (earlier := lineage.began_with(record)) is not None:
        found["began_with"] = earlier
    if model.inputs:
        found["inputs"] = ", ".join(model.inputs)
    if spec.search.strategy == "ladder":
        found |= {"ladder": record.ladder, "lineage_epochs": task.lineage_epochs}
        found["cut_from"] = task.parent and task.parent.key[:KEY_DIGITS]
    if len(spec.taught_by) > 1:
        found["teacher"] = task.teacher
    for name in SEARCHED_TRAINING:
        if not isinstance(getattr(spec.training, name), int | float):
            found[name] = getattr(task.training, name)
    found |= {f"task.{name}": weight for name, weight in task.task_weights.items()}
    found["ce_weight"] = task.method.ce_weight
    found["method_weight"] = sum(term.hyperparameters.get("weight", 1.0) for term in terms)
    for term in terms:
        for name, value in term.hyperparameters.items():
            if name == "temperature" and name not in found:
                found[name] = value
            elif name != "weight" or len(terms) > 1:
                own = f"{term.name}.{name}"
                if any(each.endswith(own) for each in trial.parameters):
                    found[own] = value
    if (seed := lineage.seed(record)) is not None:
        found["seed"] = seed
    return Description(found, sizes(record))


def sizes(record: TrialRecord) -> dict[str, float]:
    """A student's sizes, and the logarithm of each: MLflow's plots have no logarithmic axis."""
    known = {
        "parameters": record.parameter_count,
        "macs": record.macs,
        "bytes": record.bytes,
        "latency": record.latency,
    }
    found: dict[str, float] = {name: size for name, size in known.items() if size is not None}
    logs = {f"log10_{name}": math.log10(size) for name, size in found.items() if size > 0}
    return {f"size/{name}": size for name, size in (found | logs).items()}


def rounded(value: float) -> float:
    """A number with :data:`DIGITS` digits, or as many after its point if it is large."""
    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(DIGITS, DIGITS - 1 - math.floor(math.log10(abs(value)))))
