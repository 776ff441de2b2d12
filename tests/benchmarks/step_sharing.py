"""How fast several processes train that share one device."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from step_cases import BATCH, Case
from step_clocks import train_epoch
from step_contenders import Ways

SHARING = (1, 2, 4)
"""Processes that share a GPU."""

_PATIENCE = 600.0
"""Seconds after which a process is taken to be lost."""


def sharing(case: Case, device: str, processes: int, epochs: int) -> float:
    """Images a second of trials with a cache in several processes that share a device, summed."""
    context = multiprocessing.get_context("spawn")
    start, end = context.Barrier(processes + 1), context.Barrier(processes + 1)
    with tempfile.TemporaryDirectory(prefix="step") as folder:
        given = (case, device, epochs, Path(folder), start, end)
        beside = [context.Process(target=_train_beside, args=given) for _ in range(processes)]
        for process in beside:
            process.start()
        start.wait(_PATIENCE)
        begin = time.perf_counter()
        end.wait(_PATIENCE)
        seconds = time.perf_counter() - begin
        for process in beside:
            process.join()
    return processes * epochs * case.steps * BATCH / seconds


def _train_beside(case: Case, device: str, epochs: int, folder: Path, start: Any, end: Any) -> None:
    torch.set_num_threads(1)
    ways = Ways(case, torch.device(device), epochs + 1, folder)
    trial = ways.trial(ways.cached())
    train_epoch(trial)
    start.wait()
    for _ in range(epochs):
        train_epoch(trial)
    end.wait()
