"""Trials and front as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kdsearch.search.finalists import Finalist
from kdsearch.search.record import TrialRecord


def describe_trial(record: TrialRecord) -> dict[str, Any]:
    """What a trial is: method with its values, student, sizes."""
    task = record.task
    values = {
        (f"{term.name}.{name}" if len(task.method.terms) > 1 else name): value
        for term in task.method.terms
        for name, value in term.hyperparameters.items()
    }
    temperatures = [value for name, value in values.items() if name.endswith("temperature")]
    weights = {name: value for name, value in values.items() if name.endswith("weight")}
    return {
        "trial": record.number,
        "method": task.method.label,
        "temperature": temperatures[0] if temperatures else None,
        "weights": {"ce": task.method.ce_weight} | weights,
        "hyperparameters": values,
        "family": task.model.family,
        "width": task.model.width,
        "depth": task.model.depth,
        "lr": task.training.lr,
        "weight_decay": task.training.weight_decay,
        "parameters": record.parameter_count,
        "macs": record.macs,
        "bytes": record.bytes,
    }


def trials_table(records: Sequence[TrialRecord], on_front: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial, by number."""
    front = {record.number for record in on_front}
    rows = [
        describe_trial(record)
        | {
            "status": record.status,
            "reason": record.reason,
            "validation_accuracy": record.accuracy,
            "epochs": len(record.epochs),
            "seconds": record.seconds,
            "front": record.number in front,
        }
        for record in sorted(records, key=lambda record: record.number)
    ]
    return pd.DataFrame(rows)


def front_table(finalists: Sequence[Finalist]) -> pd.DataFrame:
    """One row a finalist, small to large; accuracies are shares in [0, 1]."""
    rows = []
    for finalist in finalists:
        test, baseline, gain = finalist.test_accuracy, finalist.baseline_accuracy, finalist.gain
        rows.append(
            describe_trial(finalist.trial)
            | {
                "validation_accuracy": finalist.trial.accuracy,
                "test_accuracy": test.mean,
                "test_accuracy_ci": test.half_width,
                "baseline_accuracy": baseline.mean,
                "baseline_accuracy_ci": baseline.half_width,
                "baseline_lr": finalist.baseline[0].task.training.lr if finalist.baseline else None,
                "gain": gain.mean,
                "gain_ci": gain.half_width,
                "seeds": test.count,
                "gain_seeds": gain.count,
            }
        )
    return pd.DataFrame(rows)
