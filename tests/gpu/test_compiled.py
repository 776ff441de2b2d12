"""Students compiled for a CUDA device, one after another in the process of an actor."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from kdsearch.training.hardware import Hardware
from kdsearch.training.trainer import Trainer
from tests.gpu.actor import idle_actor, take_up

MakeTrainer = Callable[..., Trainer]

pytestmark = pytest.mark.gpu

ARCHITECTURES = [
    *({"family": "convnet", "width": w, "depth": d} for w, d in product((0.25, 0.5, 1), (1, 2, 3))),
    {"family": "resnet", "width": 0.5, "depth": 8},
]
"""Most of one class: the compiler gives up on code that it has compiled eight times."""


def profiled_losses(trainer: Trainer) -> tuple[list[float], set[str]]:
    """The losses of an epoch's steps, and the profiler's events of the last one.

    The first steps compile and record.
    """
    *first, last = enumerate(trainer.begin_epoch())
    found = [float(trainer.train_step(batch, step)) for step, batch in first]
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step, batch = last
        found.append(float(trainer.train_step(batch, step)))
    return found, {event.key for event in profiler.key_averages()}


def is_compiled(events: set[str]) -> bool:
    """By the region that the profiler shows around each call of compiled code."""
    return any(event.startswith("Torch-Compiled Region") for event in events)


@pytest.mark.slow
@pytest.mark.usefixtures("whole_float32")
def test_ten_architectures_are_each_compiled_and_train_as_they_do_uncompiled(
    make_trainer: MakeTrainer, device: torch.device
) -> None:
    compiled = Hardware(device, compiled=True)
    trial = idle_actor(compiled)
    for model in ARCHITECTURES:
        options = {"model": model, "precision": "float32"}
        trainer = make_trainer(compiled, "kd", **options)
        take_up(trial, trainer.task)
        found, events = profiled_losses(trainer)
        expected, others = profiled_losses(make_trainer(device, "kd", **options))
        assert is_compiled(events), model
        assert not is_compiled(others), model
        assert found[0] == pytest.approx(expected[0], rel=1e-4), model
        assert found == pytest.approx(expected, rel=1e-2), model
