"""Another process that works on the same cache: ``python -m … ORDER LOG ACTION``.

It says ``ready`` when it has come to where the test wants it, and goes on at a line from its input.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import torch
from safetensors.torch import save

from kdsearch.data import Batch, load_dataset
from kdsearch.models import Signal, Signals
from kdsearch.spec.sections import DataSection
from kdsearch.teacher_cache import parts
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.encoding import Stored
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import CPU, SHOWN, Counting, batch_of, cached, sums_of

DATA = load_dataset(DataSection(source="digits", validation=0.2, test=0.25, limit=300))


def told() -> None:
    """Tell the test that this point is reached, and wait for its word."""
    print("ready", flush=True)
    sys.stdin.readline()


def read_all(plan: CachePlan, teacher: Counting) -> None:
    """Read every signal of every view, and tell the sum of each tensor."""
    reader = cached(plan, teacher, DATA)
    told()
    sums = []
    for epoch in range(plan.epochs):
        batch = batch_of(plan, DATA, torch.arange(240), epoch)
        sums += sums_of(reader.observe(batch, set(SHOWN)))
    print(json.dumps(sums), flush=True)


def read_logits(plan: CachePlan, teacher: Counting) -> None:
    batch = batch_of(plan, DATA, torch.arange(240), 0)
    cached(plan, teacher, DATA).observe(batch, {Signal.LOGITS})


class Stuck(Counting):
    """A teacher that is asked a second time and never answers."""

    def observe(self, batch: Batch, wanted: Collection[Signal]) -> Signals:
        if self.asked:
            stay()
        return super().observe(batch, wanted)


def stay() -> NoReturn:
    print("ready", flush=True)
    while True:
        time.sleep(60)


def write_half(stored: Stored, path: Path) -> NoReturn:
    """Be half through writing a file."""
    content = save(dict(stored))
    path.write_bytes(content[: len(content) // 2])
    stay()


def map_one(plan: CachePlan) -> None:
    """Hold a part in memory, and tell what it holds when the test says so."""
    rows = parts.map_part(plan, Signal.FEATURES, 0, 0)
    assert rows is not None
    before = [float(value.sum()) for value in rows.values()]
    told()
    print(json.dumps([before, [float(value.sum()) for value in rows.values()]]), flush=True)
    sys.stdin.readline()


def main(order: Path, log: Path, action: str) -> None:
    torch.set_num_threads(1)
    given = pickle.loads(order.read_bytes())
    plan: CachePlan = given["plan"]
    teacher: Teacher = unpack_teacher(given["teacher"], CPU)
    if action == "map":
        map_one(plan)
    elif action == "stuck":
        read_logits(plan, Stuck(teacher, log))
    elif action == "half":
        parts.save_file = write_half  # type: ignore[assignment]
        read_logits(plan, Counting(teacher, log))
    else:
        read_all(plan, Counting(teacher, log))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
