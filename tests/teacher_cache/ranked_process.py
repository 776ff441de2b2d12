"""One of two workers that train under the live teacher, then under the cache:
``python -m … RANK FOLDER``.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from kdsearch.data import load_dataset
from kdsearch.spec.sections import DataSection
from kdsearch.training.packing import unpack_teacher
from kdsearch.training.ranks import Ranks
from kdsearch.training.task import Task
from kdsearch.training.trainer import Trainer
from tests.teacher_cache.helpers import CPU, Counting, cached


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    data = load_dataset(DataSection(source="digits", validation=0.2, test=0.25, limit=300))
    given = pickle.loads((folder / "order").read_bytes())
    teacher = unpack_teacher(given["teacher"], CPU)
    task = Task.model_validate_json((folder / "task.json").read_text())
    counting = Counting(teacher)
    told = []
    for teaching in (teacher, cached(given["plan"], counting, data)):
        trainer = Trainer(task, data, teaching, ranks=Ranks(rank, 2))
        losses = []
        while not trainer.finished:
            steps = [trainer.train_step(b, step) for step, b in enumerate(trainer.begin_epoch())]
            trainer.end_epoch(steps, 0.0)
            losses += [float(loss) for loss in steps]
        told.append(losses)
    asked = [[epoch, place, times] for (epoch, place), times in counting.asked.items()]
    (folder / f"{rank}.json").write_text(json.dumps({"losses": told, "asked": asked}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
