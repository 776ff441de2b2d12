"""Seconds of whole epochs by contender, and of the parts of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from step_contenders import Contender, Trial
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


class Clock:
    """Wall and processor time of parts, the device's work included.

    Args:
        device: Where the work is done; a GPU is waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def now(self) -> tuple[float, float]:
        """The clocks when all work that was given out is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter(), time.process_time()

    def add(self, part: str, start: tuple[float, float]) -> None:
        """Count what passed since ``start`` to a part."""
        for known, end, begin in zip((self.wall, self.cpu), self.now(), start, strict=True):
            known[part] = known.get(part, 0.0) + end - begin

    def counted(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with what it takes counted to a part."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = self.now()
            try:
                return function(*arguments, **named)
            finally:
                self.add(part, start)

        return call


def train_epoch(contender: Contender) -> float:
    """Train for one epoch; the sum of the losses, which waits for the device."""
    losses = [contender.step(batch, number) for number, batch in enumerate(contender.batches())]
    return float(torch.stack(losses).sum())


def measure(contenders: dict[str, Contender], rounds: int, clock: Clock) -> dict[str, Any]:
    """Seconds of an epoch by contender, wall and CPU, one value a round; the first is not counted.

    The contenders take turns, and another one begins in each round.
    """
    names = list(contenders)
    walls: dict[str, list[float]] = {name: [] for name in names}
    cpus: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = clock.now()
            train_epoch(contenders[name])
            wall, cpu = (end - begin for end, begin in zip(clock.now(), start, strict=True))
            if number:
                walls[name].append(wall)
                cpus[name].append(cpu)
    return {"wall": walls, "cpu": cpus}


def parts_of(contender: Contender, steps: int, device: torch.device) -> dict[str, float]:
    """Milliseconds a step of each part, over one epoch in which every part is waited for."""
    clock = Clock(device)
    with _watched(contender, clock):
        start = clock.now()
        batches = contender.batches()
        following = clock.counted("views or rows", lambda: next(batches, None))
        number = 0
        while (batch := following()) is not None:
            contender.step(batch, number)
            number += 1
        clock.add("whole", start)
    parts = {name: 1000 * seconds / steps for name, seconds in clock.wall.items()}
    return parts | {"rest": 2 * parts["whole"] - sum(parts.values())}


@contextmanager
def _watched(contender: Contender, clock: Clock) -> Iterator[None]:
    """Count what a contender does inside a step, by part."""
    counted: list[tuple[Any, str, str]] = []
    if isinstance(contender, Trial):
        counted.append((contender.trainer.distiller, "forward", "forward"))
        if contender.trainer.teacher is not None:
            counted.append((contender.trainer.teacher, "observe", "cache or teacher"))
    else:
        counted.append((contender, "loss", "forward"))
    # the class's own attribute, so that every loss is seen
    backward = clock.counted("backward", Tensor.backward)
    with ExitStack() as stack:
        for owner, name, part in counted:
            inner = clock.counted(part, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, inner))
        stack.enter_context(patch.object(Tensor, "backward", lambda *a, **k: backward(*a, **k)))
        stack.enter_context(_optimizers_watched(clock))
        yield


@contextmanager
def _optimizers_watched(clock: Clock) -> Iterator[None]:
    begun: list[tuple[float, float]] = []
    before = register_optimizer_step_pre_hook(lambda *_: begun.append(clock.now()))
    after = register_optimizer_step_post_hook(lambda *_: clock.add("optimiser", begun.pop()))
    try:
        yield
    finally:
        before.remove()
        after.remove()
