"""Trials and finalists as the page has them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from kdsearch.report.style import SIZE_NAMES
from kdsearch.results.gains import undistilled
from kdsearch.results.naming import student_told, way_told
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.results.tables import SOFTENED, describe_trial
from kdsearch.spec.teaching import UNDISTILLED

COSTS = ("parameters", "macs", "bytes", "latency", "peak_memory", "compressed_bytes", "onnx_bytes")
"""Columns of the front's table that tell how large or slow a finalist is."""

INT8 = "int8_"
"""Stands before columns of the front's table that tell of the student after quantization."""


def trial_rows(
    study: Study, records: Sequence[TrialRecord], members: Collection[int]
) -> list[dict[str, Any]]:
    """What each trial is and has reached; scores only of complete ones.

    Args:
        study: The study.
        records: Its trials.
        members: Numbers of those on the front.
    """
    objectives, rows = study.objectives, []
    for record in sorted(records, key=lambda record: record.number):
        told = describe_trial(record)
        rows.append(
            {
                "trial": record.number,
                "method": told["method"],
                "teacher": told["teacher"],
                "student": student_told(told),
                "way": way_told(told),
                "values": _values(told),
                "sizes": {name: told[name] for name in SIZE_NAMES if told.get(name) is not None},
                "response": response(record),
                "status": record.status,
                "reason": record.reason,
                "epochs": len(record.epochs),
                "scores": {
                    name: record.scores[name] for name in study.metrics if name in record.scores
                },
                "front": record.number in members,
                "counts": record.complete and objectives.suffices(record.scores),
            }
        )
    return rows


def finalist_rows(study: Study, front: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of the front's table: ``test`` and ``baseline`` by metric, each mean and interval.

    ``int8`` holds what the table tells of the student after quantization, by name.
    """
    rows, scores = [], (*study.metrics, *study.source_scores)
    for told in front.to_dict("records"):
        row = {str(name): value for name, value in told.items()}
        folder = study.directory.student(int(row["trial"]))
        alone = undistilled(row)
        rows.append(
            {
                "trial": int(row["trial"]),
                "sizes": {name: row[name] for name in COSTS if _known(row.get(name))},
                "test": {name: _pair(row, f"test_{name}") for name in scores},
                "baseline": {name: _pair(row, f"baseline_{name}") for name in scores},
                "gain": None if alone else _pair(row, "gain"),
                "undistilled": alone,
                "baseline_method": _other_baseline(row),
                "seeds": int(row["seeds"]),
                "member": bool(row["member"]),
                "beaten_by": None if pd.isna(row["beaten_by"]) else int(row["beaten_by"]),
                "retained": row.get("retained"),
                "trainings": int(row["trainings"]),
                **({"start": row["start"]} if _known(row.get("start")) else {}),
                "int8": {
                    name.removeprefix(INT8): value
                    for name, value in row.items()
                    if name.startswith(INT8)
                },
                "folder": f"students/{folder.name}" if folder.exists() else None,
            }
        )
    return rows


def _other_baseline(row: Mapping[str, Any]) -> str | None:
    """The method of the baseline, where it is not ``none``."""
    label = row.get("baseline_method")
    return label if isinstance(label, str) and label != UNDISTILLED else None


def _known(value: Any) -> bool:
    return value is not None and not pd.isna(value)


def response(record: TrialRecord) -> dict[str, float] | None:
    """Temperature and weight of the term that softens logits, where the method has one."""
    for term in record.task.method.terms:
        values = term.hyperparameters
        if term.name in SOFTENED and {"temperature", "weight"} <= set(values):
            return {"temperature": values["temperature"], "weight": values["weight"]}
    return None


def _values(told: Mapping[str, Any]) -> dict[str, Any]:
    """What was or may have been searched, by names that all methods have in common.

    ``hyperparameters`` has all of the method's own, those of the terms of a sum after their names.
    """
    weights = [value for name, value in told["weights"].items() if name != "ce"]
    training = ("lr", "weight_decay", "label_smoothing")
    begins_with = told.get("began_with", told["init"])
    return {
        "teacher": told["teacher"],
        "family": told["family"],
        "width": told["width"],
        "depth": told["depth"],
        "way": told["way"],
        **{f"{told['way']}.{name}": value for name, value in told["way_values"].items()},
        "stored as": told["stored"],
        **({"inputs": told["inputs"]} if "inputs" in told else {}),
        **({} if told["init"] == "random" else {"begins with": begins_with}),
        **({"side": told["side"]} if "side" in told else {}),
        **({"part of the ladder": told["ladder"]} if "ladder" in told else {}),
        "temperature": told["temperature"],
        "distillation weight": weights[0] if weights else None,
        "label weight": told["weights"]["ce"],
        **{name.replace("_", " "): told[name] for name in training},
        **{name.replace("task.", "weight of "): v for name, v in told.items() if "task." in name},
        "hyperparameters": told["hyperparameters"],
    }


def _pair(row: Mapping[str, Any], name: str) -> list[float] | None:
    """A mean and half its interval, if it is known."""
    mean = row.get(name)
    if mean is None or math.isnan(mean):
        return None
    return [mean, row[f"{name}_ci"]]
