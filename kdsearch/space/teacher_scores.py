"""How a given teacher does on validation samples, before anything is trained with it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kdsearch.data import Dataset, Split, epoch_order
from kdsearch.errors import ModelError
from kdsearch.models import Network
from kdsearch.problems import Head, Predictions, find_metric
from kdsearch.spec.teaching import called
from kdsearch.training.answers import answer_warnings, chance_warning
from kdsearch.training.teacher import Reference, Teacher
from kdsearch.training.teacher_store import StoredTeacher

WORK = 1e11
"""Multiply-accumulates that the scoring of one teacher may take."""

SAMPLES = (16, 2000)
"""Fewest and most validation samples that a teacher is scored on, if there are so many."""

_BATCH = 64


def score_teacher(who: str, network: Network, data: Dataset, macs: float) -> list[str]:
    """What is odd about a teacher's answers to validation samples, in sentences.

    Args:
        who: The teacher in the sentences.
        network: With its weights; it is frozen.
        data: The data set.
        macs: Multiply-accumulates that the network takes for a sample.

    Raises:
        ModelError: An output is not finite.
    """
    fewest, most = SAMPLES
    count = min(max(int(WORK / max(macs, 1.0)), fewest), most)
    index = epoch_order(0, 0, len(data.validation))[:count]
    drawn = replace(data, validation=data.validation.take(index))
    logits = Reference(Teacher(network), drawn).logits("validation", _BATCH)
    bad = int((~torch.isfinite(logits)).any(dim=1).sum())
    if bad:
        raise ModelError(
            f"its outputs are not finite for {bad} of {len(logits)} validation samples; give "
            "weights that are"
        )
    blame = _blame(data)
    return [
        warning
        for head in data.problem.heads
        for warning in _warnings(who, logits, drawn.validation, head, blame)
    ]


def _warnings(who: str, outputs: Tensor, split: Split, head: Head, blame: str) -> list[str]:
    """What is odd about the answers in a task of classes or of a value."""
    labels = split.targets[head.name].cpu()
    known = head.known(labels)
    if head.kind == "value":
        return _value_warnings(who, head, head.predictions(outputs, labels), blame)
    if head.kind == "labels" or not bool(known.any()):
        return []
    return answer_warnings(who, head.of(outputs)[known], labels[known], head.names, blame)


def _value_warnings(who: str, head: Head, of: Predictions, blame: str) -> list[str]:
    """That values are no better than their mean, as those in another unit are."""
    share = find_metric("r2")(of)
    if not share <= 0:  # nor NaN, of targets that do not differ
        return []
    check = (
        "check its weights, and that it returns (value - mean) / standard deviation of the "
        f"training targets ({head.mean:.4g} and {head.std:.4g})"
    )
    return [
        f"{who} explains nothing of '{head.name}' (R² {share:.2g} on {len(of.targets)} validation "
        f"samples); {blame or check}"
    ]


def training_warnings(teacher: StoredTeacher, data: Dataset) -> list[str]:
    """That a teacher which was trained here does no better than guessing, in a sentence."""
    history: list[dict[str, float]] = teacher.facts.get("history") or []
    problem, told = data.of_tasks(teacher.tasks).problem, []
    for head in problem.class_heads if history else ():
        labels = data.validation.targets[head.name]
        labels = labels[head.known(labels)]
        name = f"{head.name}/accuracy" if problem.several else "accuracy"
        right = round(history[-1][name] * len(labels))
        who = f"the {called(teacher.name)}"
        told.append(chance_warning(who, right, labels, head.size, _blame(data)))
    return [warning for warning in told if warning is not None]


def _blame(data: Dataset) -> str:
    """What is more likely to blame than a teacher's weights; empty where that is nothing."""
    if data.source_test is None:
        return ""
    return (
        "validation is of the target domain, in which it was perhaps not trained, so that students "
        "may gain little from what it says there"
    )
