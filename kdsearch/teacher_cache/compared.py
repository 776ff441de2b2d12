"""How well the teacher does with which students are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from kdsearch.data import Dataset
from kdsearch.teacher_cache.reading import TeacherSignals
from kdsearch.training.evaluation import Scores, of_source
from kdsearch.training.teacher import SplitName, judged_splits


def scores_of_compared(
    shared: Mapping[str, Any], data: Dataset, device: torch.device | str = "cpu"
) -> dict[SplitName, Scores]:
    """Scores of that teacher on validation and test, as students are scored.

    They are those of the logits with which students are compared, cached or, where nothing is
    cached, computed here. None where it does not answer in the classes of the data.

    Args:
        shared: As :class:`~kdsearch.teacher_cache.reading.TeacherSignals` takes it.
        data: The data set.
        device: Where the teacher runs if it has to.

    Raises:
        DataError: A metric is no number on these samples.
    """
    reference = TeacherSignals(shared, data, torch.device(device)).reference
    if reference is None:
        return {}
    found: dict[SplitName, Scores] = {}
    for split in judged_splits(data):
        targets = {name: each.cpu() for name, each in data.splits[split].targets.items()}
        predictions = data.problem.predictions(reference.logits(split), targets)
        found[split] = data.problem.scores(predictions)
    if "source_test" in found:
        found["test"] |= of_source(found.pop("source_test"))
    return found
