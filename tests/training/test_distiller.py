"""What a training sees of its batches, compiled or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from kdsearch.data import Dataset
from kdsearch.training.distiller import Distiller
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer

CONVNET = {"family": "convnet", "width": 0.5, "depth": 2}
NORMALISED = {"normalise": {"mean": [0.4], "std": [0.1]}}
MAPPED = {"outputs": 21, "stands_for": {str(digit): [20 - digit, digit] for digit in range(10)}}


@pytest.mark.parametrize("more", [NORMALISED, MAPPED, NORMALISED | MAPPED])
def test_a_student_trains_on_prepared_images_and_its_classes_compiled_or_not(
    digits: Dataset, make_task: Callable[..., Task], more: dict[str, Any]
) -> None:
    trainer = Trainer(make_task(model=CONVNET | more, precision="float32"), digits)
    student, objective = trainer.distiller.student, trainer.distiller.objective
    batch = next(iter(trainer.begin_epoch()))
    images, given = batch.inputs["image"], digits.inputs["image"]
    if "normalise" in more:
        pixels = images * given.std[0] + given.mean[0]
        images = (pixels - 0.4) / 0.1
    logits = student.trace(images).logits
    if "outputs" in more:
        both = logits.exp()[:, :21]
        sums = [both[:, 20 - digit] + both[:, digit] for digit in range(10)]
        logits = torch.stack(sums, dim=1).log()
    (targets,) = batch.targets.values()
    expected = F.cross_entropy(logits, targets.labels).item()
    compiled = torch.compile(student.trace, backend="eager")
    for forward in (None, compiled):
        losses = Distiller(student, objective, forward)(batch.inputs, batch.targets, None, 0.0)
        assert losses["loss"].item() == pytest.approx(expected, rel=1e-4)
